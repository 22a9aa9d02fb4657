"""A job class is its own source: create, acquire, get, iterReady."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from fooapp import ActJob, DoFooJob, Foo
from instances import Instance


@pytest.mark.feature("LP-08")
def test_a_job_that_is_rolled_back_never_existed(instance: Instance) -> None:
    with instance.database.session() as session:
        DoFooJob.create(instance.foo(session))
        session.rollback()
    assert instance.rows() == []
    assert instance.query("SELECT * FROM foo_job") == []


@pytest.mark.feature("LP-09")
def test_acquire_only_acquires_one(session: Session, foo: Foo) -> None:
    job = DoFooJob.acquire(foo)
    assert DoFooJob.acquire(foo) == job
    assert len(list(DoFooJob.iterReady())) == 1
    other = Foo()
    session.add(other)
    session.flush()
    assert DoFooJob.acquire(other) != job
    assert ActJob.acquire(foo) != job


@pytest.mark.feature("LP-09")
def test_acquire_finds_a_job_that_create_made(session: Session, foo: Foo) -> None:
    assert DoFooJob.acquire(foo) != DoFooJob.create(foo)
    second = Foo()
    session.add(second)
    session.flush()
    created = DoFooJob.create(second)
    assert DoFooJob.acquire(second) == created


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize(
    ("moves", "same"),
    [
        ([], True),
        (["suspend"], True),
        (["start"], False),
        (["start", "complete"], False),
        (["start", "fail"], False),
        (["cancel"], False),
    ],
)
@pytest.mark.parametrize("way", ["acquire", "create"])
def test_acquire_makes_a_new_job_once_the_old_one_has_started(
    session: Session, foo: Foo, moves: list[str], same: bool, way: str
) -> None:
    old = getattr(DoFooJob, way)(foo)
    for move in moves:
        getattr(old.job, move)()
    assert (DoFooJob.acquire(foo) == old) is same


@pytest.mark.feature("LP-10")
def test_iter_ready_yields_what_is_due_and_free_in_order(session: Session, foo: Foo) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    late = DoFooJob.create(foo)
    early = DoFooJob.create(foo, scheduled_start=now - hour)
    urgent = DoFooJob.create(foo, priority=-5)
    DoFooJob.create(foo, scheduled_start=now + hour)
    DoFooJob.create(foo, expires_at=now - hour)
    DoFooJob.create(foo).job.acquireLease()
    DoFooJob.create(foo).job.suspend()
    ActJob.create(foo)
    assert list(DoFooJob.iterReady()) == [urgent, early, late]
