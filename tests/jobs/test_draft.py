"""A new job is checked before anything is written."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from errandapp import ErrandJob
from fooapp import ActJob, DoFooJob, Foo
from instances import Instance
from jobcron import BaseRunnableJob, IncompleteJobType, InvalidJobData, NoSession


def test_class_attributes_are_defaults_of_the_row_and_arguments_go_before_them(session: Session, foo: Foo) -> None:
    assert ActJob.create(foo).max_retries == 1
    assert ActJob.create(foo, max_retries=7).max_retries == 7
    assert ActJob.create(foo, max_retries=None).max_retries is None
    assert DoFooJob.create(foo).max_retries == 0
    assert DoFooJob.create(foo, requester="me", description="why").job.description == "why"


def test_a_value_without_a_column_is_refused_by_name(session: Session, foo: Foo) -> None:
    with pytest.raises(InvalidJobData, match=r"got prioritty; did you mean priority\?"):
        DoFooJob.create(foo, prioritty=3)


def test_an_argument_without_its_name_is_told_to_need_one(session: Session) -> None:
    with pytest.raises(InvalidJobData, match="got str: 'blue'; arguments are given by their names"):
        ErrandJob.create("blue", session=session)


def test_a_class_without_a_job_type_has_no_jobs_and_says_what_is_missing(session: Session) -> None:
    class Forgotten(BaseRunnableJob):
        def run(self) -> None: ...

    for use in (
        Forgotten.create,
        lambda: Forgotten.acquire(unique_key="one"),
        lambda: Forgotten.createMultiple([{}]),
        lambda: Forgotten.get(1),
        lambda: list(Forgotten.iterReady()),
    ):
        with pytest.raises(IncompleteJobType, match=r"expected Forgotten to have a class_job_type, such as"):
            use()
    assert not hasattr(Forgotten, "anything_else")


def test_a_target_that_is_not_in_the_database_has_no_key(session: Session) -> None:
    with pytest.raises(InvalidJobData, match="to be in a session, it is in none"):
        DoFooJob.acquire(Foo(), session=session)


def test_without_any_session_create_says_how_to_give_one() -> None:
    with pytest.raises(NoSession, match="pass session="):
        DoFooJob.create(Foo())


def test_a_naive_time_is_refused(session: Session, foo: Foo) -> None:
    with pytest.raises(InvalidJobData, match="to be a datetime with a time zone"):
        DoFooJob.create(foo, scheduled_start=datetime(2026, 1, 1))


@pytest.mark.feature("LP-09")
def test_acquire_wants_to_know_for_what(session: Session, foo: Foo) -> None:
    other = Foo()
    session.add(other)
    session.flush()
    assert DoFooJob.acquire(foo=foo, session=session) == DoFooJob.acquire(foo)
    assert DoFooJob.acquire(foo=other, session=session) != DoFooJob.acquire(foo)
    with pytest.raises(InvalidJobData, match="expected a target or unique_key"):
        DoFooJob.acquire(foo_id=foo.id, session=session)
    with pytest.raises(InvalidJobData, match="expected a target or unique_key"):
        ErrandJob.acquire()
    keyed = DoFooJob.acquire(foo, unique_key="monday")
    assert keyed == DoFooJob.acquire(other, unique_key="monday")
    assert keyed != DoFooJob.acquire(foo)


@pytest.mark.parametrize("way", ["create", "acquire", "createMultiple"])
def test_what_is_refused_leaves_no_transaction_open_that_the_caller_has_not_begun(
    instance: Instance, way: str
) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        session.commit()
        for begun in (False, True):
            if begun:
                session.execute(text("SELECT 1"))
            with pytest.raises(InvalidJobData):
                getattr(ActJob, way)([foo] if way == "createMultiple" else foo, prioritty=3, session=session)
            assert session.in_transaction() is begun
        session.rollback()
        session.add(Foo(name="new"))
        with pytest.raises(InvalidJobData):
            DoFooJob.create(foo, prioritty=3, session=session)
        session.commit()
    assert ("new",) in instance.query("SELECT name FROM foo")
