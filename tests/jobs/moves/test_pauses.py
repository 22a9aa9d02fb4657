"""Pauses as rows: which last, whose they are, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from jobcron import Job
from jobcron.database.tables import JobSourceRow, PauseRow, jobs_connection
from jobcron.jobs.job import is_ready
from jobcron.jobs.moves.pauses import (
    Pause,
    Scope,
    current_pauses,
    delete_pause,
    is_paused,
    pauses_of,
    write_pause,
)
from jobcron.testing import JobFactory

NOW = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)
LONG_AGO, FAR_AWAY = datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)


def written(connection: Connection, scope: Scope, name: str, until: datetime | None = None) -> Pause:
    """Write a pause, and return it."""
    made = Pause(scope, name, "ada@host", "a reason", NOW, until)
    write_pause(connection, made)
    return made


@pytest.mark.feature("N-02")
def test_a_pause_that_is_over_is_none(session: Session) -> None:
    connection = jobs_connection(session)
    endless = written(connection, Scope.QUEUE, "cats")
    long = written(connection, Scope.SECTION, "act", FAR_AWAY)
    written(connection, Scope.SECTION, "do_foo", LONG_AGO)
    assert current_pauses(connection) == [endless, long]
    assert current_pauses(connection, Scope.SECTION) == [long]
    assert is_paused(connection, Scope.SECTION, "act")
    assert not is_paused(connection, Scope.SECTION, "do_foo")
    assert not is_paused(connection, Scope.QUEUE, "act")


def test_a_new_pause_takes_the_place_of_an_old_one(session: Session) -> None:
    connection = jobs_connection(session)
    written(connection, Scope.QUEUE, "cats", LONG_AGO)
    again = written(connection, Scope.QUEUE, "cats", FAR_AWAY)
    assert current_pauses(connection) == [again]


def test_the_pauses_of_a_section_are_its_own_and_those_of_its_types(session: Session) -> None:
    connection = jobs_connection(session)
    number = JobFactory(session).makeJob(type_name="foo_job.ACT").type_id
    session.add(JobSourceRow(name="shop.Act", type_id=number, own_iter_ready=False))
    session.flush()
    own = written(connection, Scope.SECTION, "act")
    of_type = written(connection, Scope.TYPE, "foo_job.ACT", FAR_AWAY)
    written(connection, Scope.SECTION, "do_foo")
    written(connection, Scope.TYPE, "foo_job.DO_FOO")
    written(connection, Scope.QUEUE, "act")
    assert pauses_of(connection, "act", ["shop.Act"]) == [own, of_type]
    assert pauses_of(connection, "act", []) == [own]


def test_a_pause_is_deleted_and_so_is_what_is_over(session: Session) -> None:
    connection = jobs_connection(session)
    endless = written(connection, Scope.QUEUE, "cats")
    lasting = written(connection, Scope.SECTION, "cats", FAR_AWAY)
    written(connection, Scope.QUEUE, "dogs", LONG_AGO)
    assert delete_pause(connection, Scope.QUEUE, "dogs") is None
    assert session.scalars(select(PauseRow.name)).all() == ["cats", "cats"]
    assert delete_pause(connection, Scope.QUEUE, "cats") == endless
    assert delete_pause(connection, Scope.SECTION, "cats") == lasting
    assert delete_pause(connection, Scope.SECTION, "cats") is None


def test_a_paused_type_or_queue_has_no_ready_jobs(session: Session) -> None:
    factory, connection = JobFactory(session), jobs_connection(session)
    job, other = factory.makeJob(queue_name="cats"), factory.makeJob(type_name="other.JOB")
    session.flush()

    def ready() -> set[int]:
        return set(session.scalars(select(Job.id).where(is_ready())))

    assert ready() == {job.id, other.id}
    written(connection, Scope.QUEUE, "cats")
    assert (ready(), job.is_runnable) == ({other.id}, False)
    written(connection, Scope.TYPE, "other.JOB")
    assert ready() == set()
    written(connection, Scope.QUEUE, "cats", LONG_AGO)
    written(connection, Scope.TYPE, "other.JOB", LONG_AGO)
    assert ready() == {job.id, other.id}


def test_a_pause_says_what_who_since_when_until_when_and_why() -> None:
    until = NOW + timedelta(hours=2)
    assert str(Pause(Scope.QUEUE, "cats", "ada@host", "no food", NOW, until)) == (
        "queue cats is paused by ada@host since 2026-11-29 20:00:00 UTC, until 2026-11-29 22:00:00 UTC: no food"
    )
    assert str(Pause(Scope.TYPE, "a.B", "ada@host", None, NOW, None)) == (
        "type a.B is paused by ada@host since 2026-11-29 20:00:00 UTC, until somebody ends it"
    )
