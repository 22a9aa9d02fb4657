"""A run that is asked to stop: the current job ends or is interrupted, and the others go back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from endless import ENDLESS_SECONDS, soon
from fooapp import ActJob
from instances import Instance, wait_until
from jobcron import Job, JobStatus
from runner_processes import Gate, batch_behind, configure, is_as_never_claimed, make, numbers, seen, started
from shortleaseapp import BusyJob

WRITE = ("write", "effect")


def test_a_keyboard_interrupt_puts_the_job_back_and_ends_the_run(instance: Instance) -> None:
    instance.act(WRITE)
    job = instance.act(WRITE, ("press_a_key", ""))
    neighbour = instance.act(WRITE)
    with pytest.raises(KeyboardInterrupt):
        instance.run("act")
    assert instance.query("SELECT completed, incomplete, oopses FROM jobcron_run") == [(1, 1, 0)]
    assert (instance.row(job).status, instance.row(job).attempt_count) == (JobStatus.WAITING, 0)
    assert (instance.row(neighbour).status, instance.row(neighbour).attempt_count) == (JobStatus.WAITING, 0)
    assert instance.events(job) == ["interrupted"]
    assert instance.oopses() == []


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_after_sigterm_the_current_job_ends_and_what_was_claimed_behind_it_goes_back(
    instance: Instance, gate: Gate
) -> None:
    configure(instance, patient_keeper=True)
    current, behind = batch_behind(instance, gate.touch, gate.wait, WRITE)
    with started(instance, "busy") as run:
        gate.reached()
        assert behind[0] in numbers(instance, JobStatus.RUNNING)
        run.signal(signal.SIGTERM)
        # At once: that the current job is slow would be noticed much later.
        wait_until(lambda: is_as_never_claimed(seen(instance, behind[0])), "the neighbour to be given back")
        assert instance.row(current).status is JobStatus.RUNNING
        gate.open()
        log = run.end()
    assert instance.row(current).status is JobStatus.COMPLETED
    assert all(is_as_never_claimed(instance.row(job)) for job in behind)
    assert instance.ledger() == [(current, 1, "effect")]
    assert instance.events(behind[0]) == []
    assert "Ran 3 BusyJob jobs." in log


def test_a_job_that_outlives_the_grace_is_interrupted_and_waits_again(instance: Instance, gate: Gate) -> None:
    configure(instance, "grace_seconds: 0.5s", quick_keeper=True)
    job, behind = batch_behind(instance, WRITE, gate.touch, ("stubborn_sleep", 60))
    with started(instance, "busy") as run:
        gate.reached()
        started_at = time.monotonic()
        run.signal(signal.SIGTERM)
        log = run.end()
    assert 0.5 <= time.monotonic() - started_at < 30
    assert is_as_never_claimed(instance.row(job))
    assert instance.row(job).oops_id is None
    assert all(is_as_never_claimed(instance.row(number)) for number in behind)
    assert instance.ledger() == []
    assert instance.events(job) == ["interrupted"]
    assert [instance.events(number) for number in behind] == [[]] * 5
    assert instance.oopses() == []
    assert f"BusyJob (ID {job}) was interrupted: the run was stopped.\n" in log


def test_a_job_that_ends_right_after_sigterm_is_the_last(instance: Instance) -> None:
    configure(instance)
    current, behind = batch_behind(instance, WRITE, ("signal", signal.SIGTERM))
    instance.run("busy")
    assert instance.ledger() == [(current, 1, "effect")]
    assert all(is_as_never_claimed(instance.row(job)) for job in behind)
    assert instance.row(behind[0]).lease_token == 1  # it had been claimed


def test_a_job_that_was_just_claimed_when_the_run_was_stopped_has_not_begun(instance: Instance) -> None:
    instance.configure("metrics_hook: metricsapp:stop_the_run")  # called when a job is claimed and is next
    job, behind = instance.act(WRITE), instance.act(WRITE)
    with instance.session() as session:
        session.get_one(Job, job).expires_at = datetime.now(UTC) + timedelta(hours=1)
        session.commit()
    instance.run("act")
    row = instance.row(job)
    assert is_as_never_claimed(row)
    assert (row.lease_token, row.begun_token) == (1, 0), "it was claimed; it can still expire, and holds its key"
    assert instance.events(job) == []
    assert is_as_never_claimed(instance.row(behind))
    assert instance.query("SELECT completed, incomplete, oopses FROM jobcron_run") == [(0, 0, 0)]
    assert instance.ledger() == []


def test_a_closed_terminal_puts_the_job_back_and_its_second_signal_does_not_cut_the_grace(
    instance: Instance, gate: Gate
) -> None:
    configure(instance, patient_keeper=True)
    current, behind = batch_behind(instance, gate.touch, gate.wait, WRITE)
    with started(instance, "busy") as run:
        gate.reached()
        run.signal(signal.SIGHUP)
        wait_until(lambda: is_as_never_claimed(seen(instance, behind[0])), "the neighbour to be given back")
        run.signal(signal.SIGHUP)
        run.signal(signal.SIGHUP)
        gate.open()
        run.end()
    assert instance.row(current).status is JobStatus.COMPLETED
    assert all(is_as_never_claimed(instance.row(job)) for job in behind)
    assert instance.ledger() == [(current, 1, "effect")]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_under_nohup_a_closed_terminal_stops_nothing(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(job: Any) -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr(ActJob, "run", run)
    jobs = [instance.act(), instance.act()]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        instance.run("act")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert [instance.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 2


@on_postgresql
def test_a_job_that_waits_for_the_database_is_interrupted_when_its_grace_ends(
    instance: Instance, gate: Gate
) -> None:
    configure(instance, "grace_seconds: 0.2s", quick_keeper=True)
    job = make(instance, BusyJob, WRITE, gate.touch, ("sql", "SELECT pg_sleep(60)"))
    with started(instance, "busy") as run:
        gate.reached()
        started_at = time.monotonic()
        run.signal(signal.SIGTERM)
        run.end()
    assert time.monotonic() - started_at < 30
    assert instance.events(job) == ["interrupted"]
    assert is_as_never_claimed(instance.row(job))
    assert instance.ledger() == []


def test_a_second_sigterm_interrupts_the_job_at_once(instance: Instance, gate: Gate) -> None:
    configure(instance, "grace_seconds: 200s")
    job, behind = batch_behind(instance, gate.touch, ("stubborn_sleep", 60), WRITE)
    with started(instance, "busy") as run:
        gate.reached()
        started_at = time.monotonic()
        run.signal(signal.SIGTERM)
        wait_until(lambda: is_as_never_claimed(seen(instance, behind[0])), "the first to be heard")
        run.signal(signal.SIGTERM)
        run.end()
    assert time.monotonic() - started_at < 30
    assert is_as_never_claimed(instance.row(job))
    assert instance.events(job) == ["interrupted"]
    assert instance.ledger() == []


@pytest.mark.feature("LP-23")
def test_the_grace_ends_for_a_job_after_one_that_had_handlers_of_its_own(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    async def handle() -> None:
        for number in (signal.SIGHUP, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, lambda: None)

    def run(self: BusyJob) -> None:
        ran.append(self.job.id)
        if len(ran) == 1:
            asyncio.run(handle())
            return
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ENDLESS_SECONDS)

    first, second = make(short_grace, BusyJob), make(short_grace, BusyJob)
    monkeypatch.setattr(BusyJob, "run", run)
    with soon():
        short_grace.run("busy")
    assert [short_grace.row(job).status for job in (first, second)] == [JobStatus.COMPLETED, JobStatus.WAITING]
