"""The keeper: what it does for a job that runs long, and to one that must not go on."""

from __future__ import annotations

import json
import signal
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

import shortleaseapp
from instances import Instance, wait_until
from jobcron import Job, JobRunner, JobStatus
from jobcron.database.clock import database_now
from jobcron.queue import type_feed
from jobcron.runner import _keeper
from jobcron.testing import BufferLogger
from runner_processes import Gate, configure, is_as_never_claimed, make, seen, started
from shortleaseapp import BriefJob, BusyJob, LimitedJob

WRITE = ("write", "effect")


def first_lease(instance: Instance, job: int) -> datetime:
    """Return when the lease ends that a job has now."""
    lease = seen(instance, job).lease_expires
    assert lease is not None
    return lease


def wait_past(instance: Instance, moment: datetime) -> None:
    """Wait until the database's clock is well past a moment."""

    def is_past() -> bool:
        with instance.database.reading.connect() as connection:
            now = connection.scalar(select(database_now()))
        return now is not None and now > moment + timedelta(seconds=0.2)

    wait_until(is_past, f"{moment} to be past")


def before_it_waits(instance: Instance, *actions: tuple[str, Any], gate: Gate) -> list[tuple[str, Any]]:
    """Return actions before and after a wait: SQLite's one write lock lets others see nothing in between."""
    waiting = [gate.touch, gate.wait]
    return [*waiting, *actions] if instance.database.dialect == "sqlite" else [*actions, *waiting]


@pytest.mark.feature("LP-23")
def test_a_job_that_runs_longer_than_its_lease_is_not_taken_by_a_second_runner(
    quick_keeper: Instance, gate: Gate
) -> None:
    job = make(quick_keeper, BriefJob, *before_it_waits(quick_keeper, WRITE, gate=gate))
    with started(quick_keeper, "brief") as run:
        gate.reached()
        lease = first_lease(quick_keeper, job)
        wait_past(quick_keeper, lease)
        quick_keeper.run("brief")
        row = quick_keeper.row(job)
        assert (row.status, row.lease_token) == (JobStatus.RUNNING, 1)
        assert first_lease(quick_keeper, job) > lease
        gate.open()
        run.end()
    row = quick_keeper.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 1, 0)
    assert quick_keeper.ledger() == [(job, 1, "effect")]


@pytest.mark.feature("LP-23")
def test_a_job_that_holds_locks_longer_than_its_lease_is_neither_lost_nor_run_twice(
    quick_keeper: Instance, gate: Gate
) -> None:
    # It has changed its own row: a lock on that on PostgreSQL, on the whole database on SQLite.
    job = make(quick_keeper, BriefJob, ("note", "mine"), gate.touch, gate.wait, WRITE)
    with started(quick_keeper, "brief") as run:
        gate.reached()
        wait_past(quick_keeper, first_lease(quick_keeper, job))
        with started(quick_keeper, "brief_again") as other:
            if quick_keeper.database.dialect == "postgresql":
                assert "Ran" not in other.end()
            gate.open()
            assert "WARNING" not in run.end()
            if quick_keeper.database.dialect == "sqlite":
                assert "Ran" not in other.end()
    row = quick_keeper.row(job)
    assert (row.status, row.attempt_count, row.lease_token) == (JobStatus.COMPLETED, 1, 1)
    assert row.json_data["note"] == "mine"
    assert quick_keeper.ledger() == [(job, 1, "effect")]
    assert quick_keeper.events(job) == []


def test_a_keeper_that_cannot_renew_is_not_stuck(instance: Instance, gate: Gate) -> None:
    configure(instance, "grace_seconds: 0.2s", quick_keeper=True)
    job = make(instance, BriefJob, WRITE, ("note", "mine"), gate.touch, ("sleep", 60))
    with started(instance, "brief") as run:
        gate.reached()
        wait_past(instance, first_lease(instance, job))
        run.signal(signal.SIGTERM)
        log = run.end()
    assert f"BriefJob (ID {job}) was interrupted" in log
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.WAITING, 0)
    assert "note" not in row.json_data


@pytest.mark.feature("LP-03")
def test_progress_is_seen_by_others_while_the_job_runs(quick_keeper: Instance, gate: Gate) -> None:
    halfway = Gate(gate.folder, "halfway")
    job = make(
        quick_keeper,
        BusyJob,
        ("progress", 20),
        gate.touch,
        gate.wait,
        ("progress", 70),
        halfway.touch,
        halfway.wait,
        WRITE,
    )
    with started(quick_keeper, "busy") as run:
        gate.reached()
        wait_until(lambda: quick_keeper.row(job).progress == 20, "the first progress")
        assert quick_keeper.row(job).status is JobStatus.RUNNING
        gate.open()
        wait_until(lambda: quick_keeper.row(job).progress == 70, "the second progress")
        halfway.open()
        run.end()
    assert (quick_keeper.row(job).status, quick_keeper.row(job).progress) == (JobStatus.COMPLETED, 70)


def test_jobs_claimed_behind_a_slow_one_are_given_back_and_another_runner_runs_them(
    quick_keeper: Instance, gate: Gate
) -> None:
    quick = [make(quick_keeper, BusyJob, WRITE) for _ in range(2)]
    slow = make(quick_keeper, BusyJob, gate.touch, gate.wait, WRITE)
    behind = [make(quick_keeper, BusyJob, WRITE) for _ in range(5)]
    with started(quick_keeper, "busy") as run:
        gate.reached()
        wait_until(
            lambda: all(is_as_never_claimed(quick_keeper.row(job)) for job in behind), "the jobs to be given back"
        )
        quick_keeper.run("busy")
        assert [job for job, *_ in quick_keeper.ledger()] == [*quick, *behind]
        gate.open()
        log = run.end()
    assert "Ran 3 BusyJob jobs." in log
    assert [(row.status, row.attempt_count) for row in quick_keeper.rows()] == [(JobStatus.COMPLETED, 1)] * 8
    assert [job for job, *_ in quick_keeper.ledger()] == [*quick, *behind, slow]
    # Two claims for those who were given back, and no word of it in their histories.
    assert quick_keeper.row(behind[0]).lease_token == 2
    assert [quick_keeper.events(job) for job in behind] == [[], [], [], [], []]


def test_a_job_cancelled_by_hand_while_it_runs_is_interrupted_and_its_work_undone(
    quick_keeper: Instance, gate: Gate
) -> None:
    # SQLite would let nobody cancel a job that has written.
    written = [] if quick_keeper.database.dialect == "sqlite" else [WRITE]
    cancelled = make(quick_keeper, BriefJob, *written, gate.touch, ("stubborn_wait", "/nowhere"))
    neighbour = make(quick_keeper, BriefJob, WRITE)
    with started(quick_keeper, "brief") as run:
        gate.reached()
        with quick_keeper.session() as session:
            session.get_one(Job, cancelled).cancel()
        log = run.end()
    row = quick_keeper.row(cancelled)
    assert (row.status, row.attempt_count) == (JobStatus.CANCELLED, 0)
    assert quick_keeper.ledger() == [(neighbour, 1, "effect")]
    assert quick_keeper.oopses() == []
    assert f"WARNING BriefJob (ID {cancelled}) lost its lease; nothing was committed.\n" in log


@pytest.mark.parametrize("endless_wait", [("sleep", 60), ("wait_for", "/nowhere")], ids=["sleeps", "works"])
def test_a_job_beyond_its_time_limit_fails_with_a_report_and_the_others_go_on(
    instance: Instance, endless_wait: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance)
    monkeypatch.setattr(_keeper, "POLL_SECONDS", shortleaseapp.POLL_SECONDS)
    quick = [make(instance, LimitedJob, WRITE) for _ in range(2)]
    endless = make(instance, LimitedJob, WRITE, endless_wait)
    rest = [make(instance, LimitedJob, WRITE) for _ in range(3)]
    log = instance.run("limited")
    row = instance.row(endless)
    assert (row.status, row.attempt_count) == (JobStatus.FAILED, 1)
    assert [path.name for path in instance.oopses()] == [row.oops_id]
    report = json.loads(instance.oopses()[0].read_text())
    assert (report["type"], report["value"]) == ("TimeLimitExceeded", "the job ran longer than 1 seconds")
    assert instance.events(endless) == ["failed"]
    assert [job for job, *_ in instance.ledger()] == [*quick, *rest]
    assert [instance.row(job).attempt_count for job in rest] == [1, 1, 1]
    assert str(row.oops_id) in log


def test_a_time_limit_counts_for_each_job_and_not_for_the_run(quick_keeper: Instance) -> None:
    jobs = [make(quick_keeper, LimitedJob, ("sleep", 0.4), WRITE) for _ in range(3)]
    logger = BufferLogger()
    runner = JobRunner.runFromSource(LimitedJob, quick_keeper.database, logger)
    assert runner.completed == {"LimitedJob": 3}, logger.getLogBuffer()
    assert [job for job, *_ in quick_keeper.ledger()] == jobs


def test_a_job_that_swallows_its_interruption_is_not_completed(
    quick_keeper: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: LimitedJob) -> None:
        with suppress(Exception):
            time.sleep(60)

    monkeypatch.setattr(LimitedJob, "run", run)
    job = make(quick_keeper, LimitedJob)
    quick_keeper.run("limited")
    assert quick_keeper.row(job).status is JobStatus.FAILED
    assert "TimeLimitExceeded" in str(quick_keeper.row(job).log)


def test_no_job_of_a_long_batch_starts_under_a_lease_that_is_nearly_over(
    quick_keeper: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float] = []

    def run(self: BriefJob) -> None:
        now = self.session.scalars(select(database_now())).one()
        assert self.lease_expires is not None
        left.append((self.lease_expires - now).total_seconds())
        time.sleep(0.2)  # not slow by itself: no give-back by the keeper

    monkeypatch.setattr(BriefJob, "run", run)
    monkeypatch.setattr(type_feed, "BATCH_SECONDS", 100.0)  # claim many, whatever they take
    jobs = [make(quick_keeper, BriefJob) for _ in range(16)]
    quick_keeper.run("brief")
    assert [quick_keeper.row(job).crash_count for job in jobs] == [0] * 16
    assert [quick_keeper.row(job).attempt_count for job in jobs] == [1] * 16
    assert min(left) > shortleaseapp.LEASE_SECONDS / 2
