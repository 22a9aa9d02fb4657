"""Families of job types: one table around the shared row, or none."""

from __future__ import annotations

from enum import Enum

import pytest
from lazr.enum import DBEnumeratedType, DBItem
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from errandapp import ErrandJob
from fooapp import ActJob, DoFooJob, Foo, FooJob, FooJobType
from instances import Instance
from jobcron import BaseRunnableJob, IncompleteJobType, Job, JobStatus, JobType, UnknownJobType
from jobcron.jobs.family import EnumItem, title_of


@pytest.mark.feature("LP-06")
def test_a_job_wraps_its_family_row_which_leads_to_the_shared_row(session: Session, foo: Foo) -> None:
    job = DoFooJob.create(foo, metadata={"colour": "blue"})
    assert isinstance(job.context, FooJob)
    assert isinstance(job.context.job, Job)
    assert job.context.foo is foo
    assert job.context.job_type is FooJobType.DO_FOO
    assert job.context.job_type.title == "Do foo"
    assert job.id == job.context.id == job.context.job.id
    assert job.metadata == {"colour": "blue"}
    assert job.status is job.context.job.status is JobStatus.WAITING
    job.metadata["shape"] = "round"
    session.flush()
    session.expire_all()
    assert DoFooJob.get(job.id).metadata == {"colour": "blue", "shape": "round"}


@pytest.mark.feature("LP-06")
def test_enums_of_lazr_and_of_the_standard_library_both_work() -> None:
    class LazrType(DBEnumeratedType):  # type: ignore[misc]
        ONE = DBItem(1, "The first\n\nSay more.")

    class PlainType(Enum):
        ANOTHER_ONE = 1

    for item, title in ((LazrType.ONE, "The first"), (PlainType.ANOTHER_ONE, "Another one")):
        enum = LazrType if item is LazrType.ONE else PlainType
        column = EnumItem(enum)
        assert title_of(item) == title
        assert column.process_bind_param(item, None) == 1  # type: ignore[arg-type]
        assert column.process_result_value(1, None) is item  # type: ignore[arg-type]
        assert column.process_result_value(99, None) == 99  # type: ignore[arg-type]


def test_an_item_without_a_number_is_refused_with_an_example() -> None:
    with pytest.raises(IncompleteJobType, match=r"item of Mail to be a number and a title, .*; got 'Send a mail'"):

        class Mail(JobType):
            SEND = "Send a mail"


def test_two_names_for_one_number_are_refused() -> None:
    with pytest.raises(IncompleteJobType, match="a number of its own, SEND and RECEIVE both have 1"):

        class Mail(JobType):
            SEND = 1, "Send"
            RECEIVE = 1, "Receive"


@pytest.mark.parametrize("wrong", ["SEND", FooJobType, 3])
def test_a_class_job_type_that_is_no_item_is_refused_with_an_example(wrong: object) -> None:
    with pytest.raises(IncompleteJobType, match=r"class_job_type of Wrong to be an item of an enum, .*, got "):
        type("Wrong", (BaseRunnableJob,), {"class_job_type": wrong, "run": lambda self: None})


@pytest.mark.feature("LP-06")
def test_a_family_row_makes_the_job_of_its_type(session: Session, foo: Foo) -> None:
    jobs = [DoFooJob.create(foo), ActJob.create(foo, metadata={"do": [], "tell": []})]
    rows = session.scalars(select(FooJob).order_by(FooJob.id)).all()
    assert [row.makeDerived() for row in rows] == jobs
    session.execute(update(FooJob).where(FooJob.id == jobs[0].id).values(job_type=99))
    session.expire_all()
    with pytest.raises(UnknownJobType, match=r"foo_job\.99"):
        rows[0].makeDerived()


def test_equality_is_by_class_and_job(session: Session, foo: Foo) -> None:
    job = DoFooJob.create(foo)
    assert DoFooJob.get(job.id) == job
    assert hash(DoFooJob.get(job.id)) == hash(job)
    assert DoFooJob.create(foo) != job
    assert job != "job"
    with pytest.raises(LookupError, match=r"foo_job\.ACT"):
        ActJob.get(job.id)


def test_a_type_may_have_no_table_of_its_own(session: Session) -> None:
    job = ErrandJob.create(metadata={"buy": "milk"})
    assert job.context is job.job
    assert [j.metadata for j in ErrandJob.iterReady()] == [{"buy": "milk"}]
    assert ErrandJob.acquire(unique_key="milk") == ErrandJob.acquire(unique_key="milk")


@pytest.mark.feature("LP-06")
def test_a_family_row_goes_with_its_job(instance: Instance) -> None:
    with instance.session() as session:
        job = DoFooJob.create(instance.foo(session), session=session)
        session.commit()
        session.delete(job.job)
    assert instance.rows() == []
    assert instance.query("SELECT count(*) FROM foo_job") == [(0,)]
