"""What stops a job stops it whatever it does: writes at its end, cleans up, holds locks, has own handlers."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from endless import ENDLESS_SECONDS, soon
from fooapp import Ledger
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.runner import _keeper
from jobcron.runner.signals import Interruptions
from runner_processes import make
from shortleaseapp import BriefJob, BusyJob, LimitedJob

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


Run = Callable[[Any], None]


def lock_the_others(job: Any) -> None:
    """Hold the rows of all jobs behind this one, as a job does that has acquired them."""
    job.session.execute(text("SELECT id FROM jobcron_job WHERE id > :id FOR UPDATE"), {"id": job.job.id})


@pytest.mark.feature("LP-23")
@on_postgresql
def test_the_lease_of_a_job_that_holds_what_the_keeper_wants_is_renewed(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases: list[Any] = []

    def run(self: BriefJob) -> None:
        if leases or self.job.id < jobs[2]:
            return
        lock_the_others(self)

        def is_renewed_again() -> bool:
            leases.append(short_grace.row(self.job.id).lease_expires)
            return len(set(leases)) >= 4

        wait_until(is_renewed_again, "three renewals", ENDLESS_SECONDS)

    # The first ones are quick: the runner claims more at once then.
    jobs = [make(short_grace, BriefJob) for _ in range(6)]
    monkeypatch.setattr(BriefJob, "run", run)
    short_grace.run("brief")
    assert [short_grace.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 6


@pytest.mark.feature("LP-24")
def test_a_time_limit_does_not_wait_for_a_keeper_that_hangs_in_the_database(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(_keeper, "renew", lambda *args: over.wait(ENDLESS_SECONDS))
    job = make(short_grace, LimitedJob, ("progress", 50), ("sleep", ENDLESS_SECONDS))
    monkeypatch.setattr(_keeper, "STOP_SECONDS", 0.1)
    with soon():
        short_grace.run("limited")
    over.set()
    assert "TimeLimitExceeded" in str(short_grace.row(job).log)


@pytest.mark.feature("LP-24")
def test_what_a_job_leaves_to_be_written_is_written_within_its_time_limit(short_grace: Instance) -> None:
    job = make(short_grace, LimitedJob, ("add", "late"))

    def be_slow(*args: object) -> None:
        time.sleep(ENDLESS_SECONDS)

    event.listen(Ledger, "before_insert", be_slow)
    try:
        with soon():
            short_grace.run("limited")
    finally:
        event.remove(Ledger, "before_insert", be_slow)
    assert "TimeLimitExceeded" in str(short_grace.row(job).log)
    assert short_grace.ledger() == []


@pytest.mark.feature("LP-24")
def test_a_job_that_swallows_its_time_limit_fails_whatever_comes_after(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, calls = Interruptions.post, []

    def post_once(self: Interruptions, *args: Any) -> bool:
        calls.append(args)
        return post(self, *args) if len(calls) == 1 else False  # as for a job that has just returned

    def run(self: LimitedJob) -> None:
        try:
            time.sleep(ENDLESS_SECONDS)
        except TimeoutError:
            wait_until(lambda: len(calls) > 1, "a second word of the keeper's")

    monkeypatch.setattr(Interruptions, "post", post_once)
    monkeypatch.setattr(_keeper, "INTERRUPT_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(LimitedJob, "run", run)
    job = make(short_grace, LimitedJob)
    short_grace.run("limited")
    assert short_grace.row(job).status is JobStatus.FAILED
    assert "TimeLimitExceeded" in str(short_grace.row(job).log)


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


def test_a_time_limit_that_is_no_time_fails_its_job_and_ends_no_run(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clean_up(self: LimitedJob, error: BaseException) -> None:
        self.act_write("cleaned up")

    monkeypatch.setattr(LimitedJob, "afterFailure", clean_up, raising=False)
    monkeypatch.setattr(LimitedJob, "time_limit", "soon")
    jobs = [make(short_grace, LimitedJob, ("write", "effect")) for _ in range(2)]
    log = short_grace.run("limited")
    assert "2 LimitedJob jobs did not complete." in log
    for job in jobs:
        assert short_grace.row(job).status is JobStatus.FAILED
        assert "TypeError" in str(short_grace.row(job).log)
    assert [note for _, _, note in short_grace.ledger()] == ["cleaned up"] * 2
