"""Trying again in the database what met trouble there."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from instances import Instance
from jobcron import DatabaseUnavailable, DatabaseUnusable
from jobcron.database import statements
from jobcron.database.retry import retry_in_session, retry_in_transaction
from jobcron.database.trouble import UNUSABLE, Interruption


def marked(kind: Interruption) -> OperationalError:
    """Return an error as an engine of ours raises it for such a trouble."""
    error = OperationalError("", {}, Exception())
    error.jobcron_interruption = kind  # type: ignore[attr-defined]
    return error


def failing(*errors: Exception) -> Callable[..., int]:
    """Return what raises each of these errors, one at each call, then returns the number of the call."""
    calls = 0

    def work(connection: Connection | None = None) -> int:
        nonlocal calls
        calls += 1
        if calls <= len(errors):
            raise errors[calls - 1]
        return calls

    return work


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that were waited; nobody waits."""
    waited: list[float] = []
    monkeypatch.setattr("jobcron.database.retry.time.sleep", waited.append)
    return waited


@pytest.mark.parametrize("kind", sorted(set(Interruption) - set(UNUSABLE)))
def test_what_a_session_does_is_tried_three_times_with_growing_pauses(
    instance: Instance, pauses: list[float], kind: Interruption
) -> None:
    with instance.database.session() as session:
        assert retry_in_session(session, "no", failing(marked(kind), marked(kind))) == 3
        assert pauses == [0.1, 1.0]
        with pytest.raises(DatabaseUnavailable, match=f"^nothing was claimed: {kind.sentence}$"):
            retry_in_session(session, "nothing was claimed", failing(*(marked(kind) for _ in range(3))))


def test_what_a_session_did_before_the_trouble_is_rolled_back(instance: Instance, pauses: list[float]) -> None:
    def work() -> bool:
        is_first = not session.in_transaction() and not pauses
        session.execute(text("SELECT 1"))
        if is_first:
            raise marked(Interruption.BUSY)
        return True

    with instance.database.session() as session:
        assert retry_in_session(session, "no", work)
        with pytest.raises(ZeroDivisionError):
            retry_in_session(session, "no", lambda: session.execute(text("SELECT 1")) and 1 // 0)
        assert not session.in_transaction()


def test_an_error_that_is_not_the_databases_is_raised_at_once(instance: Instance, pauses: list[float]) -> None:
    with instance.database.session() as session, pytest.raises(DatabaseUnavailable, match="^said by a source$"):
        retry_in_session(session, "no", failing(DatabaseUnavailable("said by a source")))
    with pytest.raises(ZeroDivisionError):
        retry_in_transaction(instance.database, "job 1", failing(ZeroDivisionError()))
    assert pauses == []


def test_the_end_of_a_job_is_tried_five_times(instance: Instance, pauses: list[float]) -> None:
    errors = [marked(Interruption.DEADLOCK), DatabaseUnavailable("away"), *[DatabaseUnavailable("x")] * 2]
    assert retry_in_transaction(instance.database, "job 1", failing(*errors)) == 5
    assert pauses == [0.5] * 4
    with pytest.raises(DatabaseUnavailable, match=r"while job 1 was being finished; .* its lease: still away$"):
        retry_in_transaction(instance.database, "job 1", failing(*errors, DatabaseUnavailable("still away")))
    with pytest.raises(DatabaseUnavailable, match="its lease: away$"):
        retry_in_transaction(instance.database, "job 1", failing(*errors), tries=2)


def test_a_job_with_the_same_key_that_came_in_between_costs_no_pause(
    instance: Instance, pauses: list[float]
) -> None:
    twin = IntegrityError("", {}, Exception("the same key"))
    assert retry_in_transaction(instance.database, "job 1", failing(*[twin] * 4)) == 5
    with pytest.raises(IntegrityError):
        retry_in_transaction(instance.database, "job 1", failing(*[twin] * 5))
    assert pauses == []


@pytest.mark.parametrize("error", [*map(marked, UNUSABLE), DatabaseUnusable("it is another one")])
def test_a_database_that_is_unfit_for_use_is_not_tried_again(
    instance: Instance, pauses: list[float], error: Exception
) -> None:
    work = failing(error)
    with instance.database.session() as session, pytest.raises(DatabaseUnusable, match="nothing was claimed: "):
        retry_in_session(session, "nothing was claimed", work)
    assert (pauses, work()) == ([], 2)


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)
def test_a_process_that_is_stopped_while_it_writes_an_end_keeps_no_row_locked(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "IDLE_SECONDS", 0.2)
    job = instance.act()
    mine = text("SELECT id FROM jobcron_job WHERE id = :job FOR UPDATE").bindparams(job=job)
    tries: list[Connection] = []

    def write(connection: Connection) -> int:
        tries.append(connection)
        connection.execute(mine)
        if len(tries) == 1:
            time.sleep(0.5)  # as a process that got SIGSTOP here
            with instance.database.begin() as others:
                others.execute(text("SET LOCAL lock_timeout = '5s'"))
                others.execute(mine)
        return int(connection.execute(mine).scalar_one())

    assert retry_in_transaction(instance.database, "a job", write) == job
    assert len(tries) == 2
