"""Moves of many jobs at once do what the moves of one job do, and refuse what those refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from instances import Instance
from jobcron import Job, JobStatus
from jobcron.database.clock import database_now
from jobcron.database.tables import jobs_connection
from jobcron.jobs.moves import bulk_moves
from jobcron.jobs.moves.bulk_moves import GONE, IN_USE, KEY_TAKEN, LOCKED, Change, change_jobs
from jobcron.testing import JobFactory
from moves import LEGAL

W, R, C, F, S, X, E, B = JobStatus

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

MOVES: dict[str, tuple[Callable[[], Change], JobStatus]] = {
    "complete": (bulk_moves.set_done, C),
    "suspend": (bulk_moves.suspend, S),
    "cancel": (bulk_moves.cancel, X),
    "queue": (bulk_moves.requeue, W),
    "resume": (bulk_moves.resume, W),
}

COLUMNS = (
    "id", "status", "attempt_count", "crash_count", "lease_token", "claimed_by", "progress", "expires_at",
    "lease_expires", "scheduled_start",
)  # fmt: skip


def seen(session: Session, job: Job) -> tuple[object, ...]:
    """Return what the columns of a job say, without its number, and whether it has an end."""
    session.refresh(job)
    return (*(getattr(job, name) for name in COLUMNS[1:]), job.date_finished is not None)


@pytest.mark.feature("OCQ-05")
@pytest.mark.parametrize("name", MOVES)
def test_many_are_moved_as_one_is(session: Session, name: str) -> None:
    make, requested = MOVES[name]
    factory, connection = JobFactory(session), jobs_connection(session)
    values: dict[str, Any] = {
        "attempt_count": 3,
        "crash_count": 1,
        "lease_token": 7,
        "claimed_by": "me:1",
        "_progress": 40,
    }
    pairs = [(factory.makeJob(status, **values), factory.makeJob(status, **values)) for status in JobStatus]
    session.flush()
    changed = change_jobs(connection, [many.id for _, many in pairs], make(), "ada", "why not")
    for one, many in pairs:
        is_legal = requested in LEGAL[one.status] and (name != "resume" or one.status is S)
        if not is_legal:
            assert changed.refused[many.id] == f"it is {one.status.name}"
            continue
        assert many.id in changed.moved
        getattr(one, name)()
        assert seen(session, many)[:-2] == seen(session, one)[:-2]
        assert seen(session, many)[-1] == seen(session, one)[-1]
        events = connection.execute(
            text("SELECT kind, detail, lease_token FROM jobcron_event WHERE job IN (:one, :many) ORDER BY job"),
            {"one": one.id, "many": many.id},
        ).all()
        mine, its = events
        assert (mine.kind, f"{mine.detail}; why not", mine.lease_token) == (its.kind, its.detail, its.lease_token)
    assert len(changed.moved) + len(changed.refused) == len(JobStatus)


@pytest.mark.feature("OCQ-05")
def test_who_did_it_is_in_the_history(session: Session) -> None:
    job, connection = JobFactory(session).makeJob(F), jobs_connection(session)
    session.flush()
    change_jobs(connection, [job.id], bulk_moves.requeue(), "ada@host")
    assert connection.execute(text("SELECT actor, kind FROM jobcron_event")).all() == [("ada@host", "requeued")]


def test_a_job_that_is_not_there_is_told(session: Session) -> None:
    changed = change_jobs(jobs_connection(session), [98, 99], bulk_moves.cancel(), "ada")
    assert (changed.moved, changed.refused) == ((), {98: GONE, 99: GONE})
    assert change_jobs(jobs_connection(session), [], bulk_moves.cancel(), "ada").moved == ()


def test_of_jobs_with_one_unique_key_only_the_newest_waits_again(session: Session) -> None:
    factory, connection = JobFactory(session), jobs_connection(session)
    older, newer, other = (
        factory.makeJob(F, unique_key="7"),
        factory.makeJob(F, unique_key="7"),
        factory.makeJob(F),
    )
    session.flush()
    changed = change_jobs(connection, [older.id, newer.id, other.id], bulk_moves.requeue(), "ada")
    assert changed.moved == (newer.id, other.id)
    assert changed.refused == {older.id: f"job {newer.id} has the same unique key '7' and has not started"}


def test_a_job_does_not_wait_again_beside_its_twin(session: Session) -> None:
    factory, connection = JobFactory(session), jobs_connection(session)
    ended, running = factory.makeJob(F, unique_key="7"), factory.makeJob(R, unique_key="8")
    twins = [factory.makeJob(W, unique_key="7"), factory.makeJob(S, unique_key="8")]
    factory.makeJob(W, unique_key="7", type_name="other.TYPE")
    suspended = factory.makeJob(S, unique_key="9")
    session.flush()
    changed = change_jobs(connection, [ended.id, suspended.id], bulk_moves.requeue(), "ada")
    assert changed.moved == (suspended.id,)
    assert f"job {twins[0].id} has the same unique key '7'" in changed.refused[ended.id]
    changed = change_jobs(connection, [running.id], bulk_moves.suspend(), "ada")
    assert f"job {twins[1].id} has the same unique key '8'" in changed.refused[running.id]


def test_a_twin_that_comes_meanwhile_costs_only_its_own_job(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory, connection = JobFactory(session), jobs_connection(session)
    ended, other = factory.makeJob(F, unique_key="7"), factory.makeJob(F)
    factory.makeJob(W, unique_key="7")
    session.flush()
    monkeypatch.setattr(bulk_moves, "_with_twins", lambda *rest: {})  # it has looked, and then the twin was made
    changed = change_jobs(connection, [ended.id, other.id], bulk_moves.requeue(), "ada")
    assert (changed.moved, changed.refused) == ((other.id,), {ended.id: KEY_TAKEN})


@on_postgresql
def test_a_locked_row_is_passed_over_without_waiting(instance: Instance) -> None:
    locked, free = instance.act(), instance.act()
    with instance.database.engine.begin() as other, instance.database.begin() as connection:
        other.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR UPDATE"), {"id": locked})
        changed = change_jobs(connection, [locked, free], bulk_moves.cancel(), "ada")
    assert (changed.moved, changed.refused) == ((free,), {locked: LOCKED})
    assert instance.row(locked).status is W


@pytest.mark.feature("OCQ-05")
def test_priority_queue_and_due_time_are_changed_of_jobs_that_have_not_started(session: Session) -> None:
    factory, connection = JobFactory(session), jobs_connection(session)
    waiting, running, suspended = factory.makeJob(), factory.makeJob(R), factory.makeJob(S)
    session.flush()
    ids = [waiting.id, running.id, suspended.id]
    for change in (bulk_moves.set_priority(3), bulk_moves.set_queue("cats"), bulk_moves.set_start(database_now())):
        changed = change_jobs(connection, ids, change, "ada")
        assert (changed.moved, changed.refused) == ((waiting.id, suspended.id), {running.id: "it is RUNNING"})
    session.refresh(waiting)
    assert (waiting.priority, waiting.queue_name, waiting.status) == (3, "cats", W)
    details = connection.execute(
        text("SELECT kind, detail FROM jobcron_event WHERE job = :j ORDER BY id"), {"j": waiting.id}
    )
    kinds, texts = zip(*details, strict=True)
    assert kinds == ("changed", "changed", "postponed")
    assert texts[:2] == ("priority was 10", "queue was default")
    assert texts[2].startswith("was due at 20")


def test_only_ended_jobs_are_deleted_and_none_that_the_application_needs(instance: Instance) -> None:
    instance.query("CREATE TABLE needs (job BIGINT REFERENCES jobcron_job (id))")
    needed, done, waiting = instance.act(), instance.act(), instance.act()
    with instance.database.begin() as connection:
        change_jobs(connection, [needed, done], bulk_moves.cancel(), "ada")
    instance.query("INSERT INTO needs VALUES (:id)", id=needed)
    with instance.database.begin() as connection:
        changed = change_jobs(connection, [needed, done, waiting], bulk_moves.remove(), "ada")
    assert (changed.moved, changed.refused) == ((done,), {needed: IN_USE, waiting: "it is WAITING"})
    assert [row.id for row in instance.rows()] == [needed, waiting]
    assert instance.query("SELECT job FROM foo_job ORDER BY job") == [(needed,), (waiting,)]
    assert instance.events(done) == []
