"""Trouble with the database that a job brings about, meets, swallows; and that the runner itself meets."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fooapp import ActJob
from instances import Instance
from jobcron import DatabaseUnavailable, JobRunner, JobStatus
from jobcron.database.connecting import engine as connecting
from jobcron.queue import error_rules, type_feed
from jobcron.runner import job_runner
from jobcron.testing import BufferLogger
from runner_processes import configure, make
from shortleaseapp import BriefJob

WRITE = ("write", "effect")


END_OWN_CONNECTION = "SELECT pg_terminate_backend(pg_backend_pid())"


DEADLOCK = "DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '40P01'; END $$"


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def make_due(instance: Instance) -> None:
    """Let no job wait for its back-off."""
    instance.query("UPDATE jobcron_job SET scheduled_start = date_created")


@pytest.mark.feature("LP-22")
@on_postgresql
def test_a_job_that_always_loses_its_connection_fails_in_the_end(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_rules, "MAX_DATABASE_INTERRUPTIONS", 2)
    job = instance.act(("sql", END_OWN_CONNECTION))
    pauses = []
    for _ in range(3):
        instance.run("act")
        ((pause,),) = instance.query(
            "SELECT extract(epoch FROM scheduled_start - statement_timestamp()) FROM jobcron_job"
        )
        pauses.append(float(pause))
        make_due(instance)
    assert instance.events(job) == ["interrupted", "interrupted", "failed"]
    assert pauses[1] > pauses[0] > 0
    assert len(instance.oopses()) == 1


@pytest.mark.feature("LP-22")
@on_postgresql
@pytest.mark.parametrize("statement", [END_OWN_CONNECTION, DEADLOCK], ids=["lost", "deadlock"])
@pytest.mark.parametrize("goes_on", [True, False], ids=["goes on", "returns"])
def test_a_trouble_that_a_job_swallows_is_no_failure_of_the_jobs(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, statement: str, goes_on: bool
) -> None:
    def run(self: ActJob) -> None:
        with suppress(DBAPIError):
            self.act_sql(statement)
        if goes_on:
            self.act_sql("SELECT 1")

    monkeypatch.setattr(ActJob, "run", run)
    job = instance.act()
    instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.WAITING, 0)
    assert instance.events(job) == ["interrupted"]


@on_postgresql
def test_a_failed_transaction_without_any_trouble_is_the_jobs_failure(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: ActJob) -> None:
        with suppress(DBAPIError):
            self.act_sql("SELECT 1 / 0")

    monkeypatch.setattr(ActJob, "run", run)
    job = instance.act()
    instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED


def test_jobs_that_cannot_be_loaded_for_the_databases_fault_go_back_at_once(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(cls: Any, session: Any, numbers: list[int]) -> Any:
        session.execute(text("SELECT * FROM no_such_table"))

    job = instance.act(WRITE)
    monkeypatch.setattr(ActJob, "load", classmethod(refuse))
    with pytest.raises(DBAPIError):
        JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.WAITING, 0, 0)


@pytest.mark.feature("LP-23")
@on_postgresql
def test_a_server_that_lets_nobody_wait_for_locks_costs_no_outcome(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = instance.database.engine.url.database
    instance.query(f'ALTER DATABASE "{name}" SET lock_timeout = 100')
    instance.database.engine.dispose()
    held = threading.Event()

    def hold(job: int) -> None:
        with instance.database.begin() as connection:
            connection.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR UPDATE"), {"id": job})
            held.set()
            time.sleep(1)

    def run(self: ActJob) -> None:
        holder.start()
        assert held.wait(10)
        raise ValueError("no such foo")

    monkeypatch.setattr(ActJob, "run", run)
    job = instance.act()
    holder = threading.Thread(target=hold, args=[job])
    instance.run("act")
    holder.join()
    assert instance.row(job).status is JobStatus.FAILED
    assert len(instance.oopses()) == 1


def test_a_run_ends_where_jobs_that_waited_too_long_cannot_go_back(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise DatabaseUnavailable("away")

    configure(instance, quick_keeper=True)
    monkeypatch.setattr(type_feed, "BATCH_SECONDS", 100.0)
    monkeypatch.setattr(job_runner, "give_back", refuse)
    for _ in range(10):
        make(instance, BriefJob, ("sleep", 0.2))
    with pytest.raises(DatabaseUnavailable, match="could not be given back"):
        JobRunner.runFromSource(BriefJob, instance.database, BufferLogger())


@pytest.mark.feature("LP-22")
@on_postgresql
def test_why_the_server_ended_an_idle_connection_is_told_in_log_and_history(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_rules, "MAX_DATABASE_INTERRUPTIONS", 1)
    idle = [("sql", "SET idle_in_transaction_session_timeout = 200"), ("sleep", 0.7), ("write", "never")]
    job = instance.act(*idle)
    log = instance.run("act")
    why = "the connection to the database was lost: terminating connection due to idle-in-transaction timeout"
    assert f"ActJob (ID {job}) was interrupted: {why}." in log
    assert instance.query("SELECT kind, detail FROM jobcron_event") == [("interrupted", why)]
    make_due(instance)
    instance.run("act")
    assert instance.events(job) == ["interrupted", "failed"]  # such interruptions are counted as well


@on_postgresql
def test_why_the_server_ended_the_connection_of_a_short_transaction_is_told(instance: Instance) -> None:
    def lose_the_connection() -> None:
        with instance.database.begin() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            instance.query("SELECT pg_terminate_backend(:pid)", pid=pid)
            time.sleep(connecting.PAUSE_SECONDS + 0.1)
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(DatabaseUnavailable, match="was lost: terminating connection due to administrator command"):
        lose_the_connection()
