"""The back-off of retries: how long a job waits until it is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from erringapp import PatientJob
from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus, RetryableJobError


@pytest.mark.feature("LP-21")
def test_a_retry_waits_longer_each_time_up_to_a_limit_and_a_random_part_more(erring: Instance) -> None:
    with erring.session() as session:
        jobs = [PatientJob.create(session=session).id for _ in range(8)]
    for least, most in ((100, 150), (300, 450), (900, 1350), (1000, 1500), (1000, 1500)):
        erring.run("patient")
        rows = [erring.row(job) for job in jobs]
        waits = [(r.scheduled_start - r.date_started).total_seconds() for r in rows if r.date_started]
        assert len(waits) == len(jobs)
        assert all(least <= wait < most + 20 for wait in waits), waits
        assert len({round(wait) for wait in waits}) > 1, "no jitter"
        erring.query("UPDATE jobcron_job SET scheduled_start = date_created")
    assert {erring.row(job).attempt_count for job in jobs} == {5}


@pytest.mark.feature("LP-21")
def test_what_the_error_says_of_its_delay_is_neither_grown_nor_spread(erring: Instance) -> None:
    with erring.session() as session:
        job = PatientJob.create(fixed=70.0, session=session).id
    for _ in range(3):
        erring.run("patient")
        row = erring.row(job)
        assert row.date_started is not None
        assert (row.scheduled_start - row.date_started).total_seconds() == pytest.approx(70, abs=5)
        erring.query("UPDATE jobcron_job SET scheduled_start = date_created")


WRITE = ("write", "effect")


@pytest.mark.feature("LP-21")
def test_a_job_to_be_retried_waits_for_its_delay_without_a_report(instance: Instance) -> None:
    job = instance.act(WRITE, ("raise", "retryable"))
    instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.oops_id) == (JobStatus.WAITING, 1, None)
    assert row.date_started is not None
    assert 3500 < (row.scheduled_start - row.date_started).total_seconds() < 3700
    assert (row.lease_expires, row.claimed_by, row.date_finished) == (None, None, None)
    assert "RetryableJobError: in an hour" in str(row.log)
    assert instance.oopses() == []


@pytest.mark.feature("LP-21", "OCQ-04")
@pytest.mark.parametrize("seconds", [0, 0.001, timedelta(0)])
def test_no_job_is_retried_before_a_second_has_passed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, seconds: timedelta | float
) -> None:
    def busy_loop(job: ActJob, argument: str) -> None:
        raise RetryableJobError("not yet", seconds=seconds, ignore_retry=True)

    monkeypatch.setattr(ActJob, "act_loop", busy_loop, raising=False)
    job = instance.act(("loop", ""))
    instance.run("act")
    row = instance.row(job)
    assert row.date_started is not None
    assert (row.scheduled_start - row.date_started).total_seconds() >= 1
    assert (row.status, {*instance.events(job)}) == (JobStatus.WAITING, {"retry"})  # slow: more than once


@pytest.mark.feature("LP-21")
@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e30, True, "soon", timedelta(days=-1)])
def test_a_delay_that_makes_no_sense_fails_the_job_and_is_named(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, seconds: Any
) -> None:
    def ask_for_nonsense(job: ActJob, argument: str) -> None:
        raise RetryableJobError("not yet", seconds=seconds)

    monkeypatch.setattr(ActJob, "act_ask", ask_for_nonsense, raising=False)
    job = instance.act(("ask", ""))
    instance.run("act")
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert "RetryableJobError: not yet" in str(row.log)  # what it wanted is told as well
    assert "expected seconds of RetryableJobError to be a timedelta or a number of seconds" in str(row.log)
    assert repr(seconds) in str(row.log)
