"""What an act changed is put back exactly, by legal moves, unless the job has moved since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, literal, select, update
from sqlalchemy.orm import Session

from jobcron import Job, JobStatus
from jobcron.database.clock import UtcDateTime
from jobcron.database.tables import ActRow, UndoRow, jobs_connection
from jobcron.jobs.history import EventKind
from jobcron.jobs.moves import bulk_moves
from jobcron.jobs.moves.bulk_moves import KEY_TAKEN, Change, change_jobs
from jobcron.jobs.moves.undoing import COMPARED, PUT_BACK, keep, put_back, values_of, write_act
from jobcron.operations.details import job_history
from jobcron.queue.claim import Claimant, claim_one
from jobcron.testing import JobFactory

W, R, C, F, S, X, E, B = JobStatus

LATER = datetime(2090, 1, 1, tzinfo=UTC)

CHANGES: dict[str, Callable[[], Change]] = {
    "retry": bulk_moves.requeue,
    "resume": bulk_moves.resume,
    "cancel": bulk_moves.cancel,
    "suspend": bulk_moves.suspend,
    "set-done": bulk_moves.set_done,
    "postpone": lambda: bulk_moves.set_start(literal(LATER, UtcDateTime())),
    "priority": lambda: bulk_moves.set_priority(-7),
    "move": lambda: bulk_moves.set_queue("cats"),
}


def acted(connection: Connection, name: str, numbers: list[int]) -> tuple[int, tuple[int, ...]]:
    """Do something to jobs, keep what they were, and return the number of the act and those that were moved."""
    before = values_of(connection, numbers)
    moved = change_jobs(connection, numbers, CHANGES[name](), "ada").moved
    act = write_act(connection, name, "ada", None)
    keep(connection, act, before, moved)
    return act, moved


@pytest.mark.feature("OCQ-05")
@pytest.mark.parametrize("name", CHANGES)
def test_a_job_in_any_status_is_put_back_as_it_was(session: Session, name: str) -> None:
    factory, connection = JobFactory(session), jobs_connection(session)
    values: dict[str, Any] = {
        "attempt_count": 2,
        "crash_count": 1,
        "claimed_by": "me:1",
        "priority": 3,
        "expires_at": LATER,
        "_progress": 40,
    }
    jobs = {factory.makeJob(status, **values).id: status for status in JobStatus}
    session.flush()
    before = values_of(connection, list(jobs))
    act, moved = acted(connection, name, list(jobs))
    assert moved
    assert all(values_of(connection, [number]) != {number: before[number]} for number in moved)
    changed = put_back(connection, act, moved, "bob", "too many")
    stay = {number for number in moved if jobs[number] is R}
    assert set(changed.refused) == stay
    assert set(changed.moved) == set(moved) - stay
    after = values_of(connection, list(jobs))
    for number in changed.moved:
        for column in PUT_BACK:
            assert after[number][column] == before[number][column], (jobs[number], column)
        told = job_history(connection, number)[-1]
        assert (told.kind, told.actor, told.detail) == (EventKind.UNDONE, "bob", f"act {act}; too many")
    assert set(session.scalars(select(UndoRow.job_id))) == stay


@pytest.mark.parametrize("what", [*COMPARED, "claimed and put back"])
def test_a_job_that_has_moved_since_is_refused(session: Session, what: str) -> None:
    connection = jobs_connection(session)
    job = JobFactory(session).makeJob(F, attempt_count=1)
    other = JobFactory(session).makeJob(F)
    session.flush()
    act, _ = acted(connection, "retry", [job.id, other.id])
    changes: dict[str, Any] = {
        "_status": S, "priority": 7, "queue_name": "dogs", "scheduled_start": LATER, "expires_at": LATER,
        "asked_start": LATER, "channel": "mail",
        "claimed_by": "x", "attempt_count": 4, "crash_count": 1, "_progress": 3, "lease_token": 9,
    }  # fmt: skip
    if what == "date_finished":
        changes = {"_status": C, "date_finished": LATER}
    elif what == "claimed and put back":
        assert claim_one(connection, job.id, Claimant("me:1", 60.0))
        changes = {"_status": W, "lease_expires": None, "claimed_by": None, "attempt_count": 0}
    else:
        changes = {what: changes[what]}
    columns = {getattr(Job, name): value for name, value in changes.items()}
    connection.execute(update(Job).where(Job.id == job.id).values(columns))
    changed = put_back(connection, act, [job.id, other.id], "bob")
    assert changed.moved == (other.id,)
    assert changed.refused[job.id].startswith("it has moved since: it is ")


def test_a_job_whose_unique_key_another_one_has_is_refused_and_the_others_are_put_back(session: Session) -> None:
    factory, connection = JobFactory(session), jobs_connection(session)
    jobs = [factory.makeJob(W, unique_key=key) for key in ("1", "2", "3")]
    session.flush()
    act, moved = acted(connection, "cancel", [job.id for job in jobs])
    factory.makeJob(W, unique_key="2")
    session.flush()
    changed = put_back(connection, act, moved, "bob")
    assert changed.moved == (jobs[0].id, jobs[2].id)
    assert changed.refused == {jobs[1].id: KEY_TAKEN}


def test_an_act_says_who_did_what_and_why(session: Session) -> None:
    connection = jobs_connection(session)
    numbers = [write_act(connection, "retry", "ada", reason) for reason in (None, "no\0 NUL")]
    assert numbers[1] > numbers[0]
    rows = session.execute(select(ActRow.name, ActRow.actor, ActRow.reason).order_by(ActRow.id)).all()
    assert rows[0] == ("retry", "ada", None)
    assert "\0" not in rows[1].reason
