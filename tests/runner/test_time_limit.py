"""The time limit of jobs: it stops a job whatever it does, writes at its end, or swallows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import event

import shortleaseapp
from endless import ENDLESS_SECONDS, soon
from fooapp import Ledger
from instances import Instance, wait_until
from jobcron import JobRunner, JobStatus
from jobcron.runner import _keeper
from jobcron.runner.signals import Interruptions
from jobcron.testing import BufferLogger
from runner_processes import configure, make
from shortleaseapp import LimitedJob

pytestmark = pytest.mark.both_drivers

Run = Callable[[Any], None]


def posts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what the keeper posts from now on; only the first reaches the job, as if it returned then."""
    post, calls = Interruptions.post, list[object]()

    def post_once(self: Interruptions, *args: Any) -> bool:
        calls.append(args)
        return post(self, *args) if len(calls) == 1 else False

    monkeypatch.setattr(Interruptions, "post", post_once)
    return calls


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
    calls = posts(monkeypatch)

    def run(self: LimitedJob) -> None:
        try:
            time.sleep(ENDLESS_SECONDS)
        except TimeoutError:
            wait_until(lambda: len(calls) > 1, "a second word of the keeper's")

    monkeypatch.setattr(_keeper, "INTERRUPT_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(LimitedJob, "run", run)
    job = make(short_grace, LimitedJob)
    short_grace.run("limited")
    assert short_grace.row(job).status is JobStatus.FAILED
    assert "TimeLimitExceeded" in str(short_grace.row(job).log)


@pytest.mark.feature("LP-24")
def test_a_job_that_cleans_up_after_its_time_limit_is_left_alone_for_a_while(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = posts(monkeypatch)

    def run(self: LimitedJob) -> None:
        try:
            time.sleep(ENDLESS_SECONDS)
        finally:
            time.sleep(1.5)  # some turns of the keeper

    monkeypatch.setattr(LimitedJob, "run", run)
    job = make(short_grace, LimitedJob)
    short_grace.run("limited")
    assert "TimeLimitExceeded" in str(short_grace.row(job).log)
    assert len(calls) == 1


@pytest.mark.feature("LP-24")
def test_a_job_that_swallows_its_time_limit_and_goes_on_is_interrupted_again(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: LimitedJob) -> None:
        with suppress(TimeoutError):
            time.sleep(ENDLESS_SECONDS)
        time.sleep(ENDLESS_SECONDS)

    monkeypatch.setattr(_keeper, "INTERRUPT_AGAIN_SECONDS", 1.5)
    monkeypatch.setattr(LimitedJob, "run", run)
    job = make(short_grace, LimitedJob)
    with soon():
        short_grace.run("limited")
    assert "TimeLimitExceeded" in str(short_grace.row(job).log)


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
        assert "InvalidDuration: expected time_limit to be a timedelta" in str(short_grace.row(job).log)
    assert [note for _, _, note in short_grace.ledger()] == ["cleaned up"] * 2


WRITE = ("write", "effect")


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
    assert (report["type"], report["value"]) == ("TimeLimitExceeded", "the job ran longer than 1 second")
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


@pytest.mark.feature("LP-24")
def test_the_time_limit_of_a_job_is_not_put_off_since_the_job_before_was_interrupted(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_keeper, "INTERRUPT_AGAIN_SECONDS", ENDLESS_SECONDS)
    jobs = [make(short_grace, LimitedJob, ("sleep", ENDLESS_SECONDS)) for _ in range(2)]
    with soon():
        short_grace.run("limited")
    for job in jobs:
        assert "TimeLimitExceeded" in str(short_grace.row(job).log)
