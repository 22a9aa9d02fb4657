"""A job that waits for itself: its transaction holds what it wants over another connection."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.database.connecting.own_wait import waits_in_python
from jobcron.runner import _keeper
from jobcron.runner.attempt import Attempt
from jobcron.runner.signals import Interruptions
from runner_processes import Gate, configure, make, started
from shortleaseapp import POLL_SECONDS, BusyJob

MINE = "UPDATE foo SET name = 'mine'"

THEIRS = "UPDATE foo SET name = 'theirs' WHERE :id = :id"


@pytest.fixture
def busy(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose jobs know their database."""
    monkeypatch.setenv("TEST_DATABASE_URL", instance.url)
    configure(instance, quick_keeper=True)
    return instance


@pytest.mark.both_drivers
@pytest.mark.parametrize("how", ["sql_by_database", "sql_by_engine", "sql_by_driver", "sql_by_thread"])
def test_a_job_that_wants_what_its_own_transaction_holds_fails_and_says_so(busy: Instance, how: str) -> None:
    job = make(busy, BusyJob, ("sql", MINE), (how, THEIRS))
    with started(busy, "busy") as run:
        run.end()
    assert busy.row(job).status is JobStatus.FAILED
    assert busy.events(job) == ["failed"]
    (report,) = [json.loads(path.read_text()) for path in busy.oopses()]
    assert report["type"] == "SelfDeadlock", report["tb_text"]
    assert report["value"].startswith("the job waits for itself: ")
    assert MINE in report["value"]
    is_told = busy.database.dialect == "postgresql" or how in ("sql_by_engine", "sql_by_thread")
    assert ("SET name = 'theirs'" in report["value"]) == is_told
    assert f"act_{how}" in "".join(report["tb_text"])  # the place says the rest
    assert busy.query("SELECT name FROM foo") == [("foo",)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_job_that_waits_for_somebody_else_is_left_to_wait(busy: Instance, gate: Gate) -> None:
    job = make(busy, BusyJob, ("write", "x"), gate.touch, ("sql_by_engine", THEIRS))
    with busy.database.session() as session:
        session.execute(text(MINE))
        with started(busy, "busy") as run:
            gate.reached()
            with pytest.raises(subprocess.TimeoutExpired):
                run.process.wait(2)
            session.commit()
            run.end()
    assert busy.row(job).status is JobStatus.COMPLETED
    assert busy.events(job) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_job_that_ends_such_a_wait_itself_is_left_to_do_so(
    busy: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(busy)
    monkeypatch.setattr(_keeper, "POLL_SECONDS", POLL_SECONDS)
    monkeypatch.setattr(_keeper, "OWN_WAIT_SECONDS", 60.0)
    patient = f"SET LOCAL lock_timeout = '{20 * POLL_SECONDS:g}s'; {THEIRS}"
    job = make(busy, BusyJob, ("sql", MINE), ("sql_by_engine", patient))
    busy.run("busy")
    assert busy.row(job).status is JobStatus.FAILED
    assert "due to lock timeout" in str(busy.row(job).log)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_thread_that_waits_for_a_job_which_waits_for_something_else_is_left_to_wait(
    busy: Instance, gate: Gate
) -> None:
    job = make(busy, BusyJob, ("sql", MINE), ("sql_in_background", THEIRS), gate.touch, gate.wait)
    with started(busy, "busy") as run:
        gate.reached()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%theirs%'"
        wait_until(lambda: bool(busy.query(waits)), "the thread to wait for the job")
        with pytest.raises(subprocess.TimeoutExpired):
            run.process.wait(2)
        gate.open()
        run.end()
    assert busy.row(job).status is JobStatus.COMPLETED


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_job_that_waits_for_itself_behind_somebody_else_is_found_out_too(busy: Instance, gate: Gate) -> None:
    job = make(busy, BusyJob, ("sql", MINE), gate.touch, gate.wait, ("sql_by_engine", THEIRS))
    with started(busy, "busy") as run, ThreadPoolExecutor() as pool:
        gate.reached()
        other = pool.submit(busy.query, "UPDATE foo SET name = 'another'")
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%another''%'"
        wait_until(lambda: bool(busy.query(waits)), "somebody else to wait for the job")
        gate.open()
        run.end()
        other.result(30)
    assert busy.row(job).status is JobStatus.FAILED
    assert busy.query("SELECT name FROM foo") == [("another",)]


@pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)
def test_a_job_that_waits_for_itself_is_interrupted_once_however_slow_its_keeper_is(
    busy: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POLL_SECONDS", "OWN_WAIT_SECONDS"):
        monkeypatch.setattr(_keeper, name, POLL_SECONDS)
    signals = []

    def take_a_while(driver: object) -> bool:
        time.sleep(10 * POLL_SECONDS)  # meanwhile the keeper's other thread has several turns
        return waits_in_python(driver)

    def note(self: Interruptions, attempt: Attempt, error: BaseException) -> bool:
        signals.append(error)
        return post(self, attempt, error)

    post = Interruptions.post
    monkeypatch.setattr(_keeper, "waits_in_python", take_a_while)
    monkeypatch.setattr(Interruptions, "post", note)
    job = make(busy, BusyJob, ("sql", MINE), ("sql_by_engine", THEIRS))
    busy.run("busy")
    assert busy.row(job).status is JobStatus.FAILED
    assert "the job waits for itself" in str(busy.row(job).log)
    # psycopg 3 waits in Python, where a signal would leave the connection in the middle of a statement.
    assert len(signals) == ("+psycopg2" in busy.url)
