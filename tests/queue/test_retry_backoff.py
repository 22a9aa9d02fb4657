"""The back-off of retries: how long a job waits until it is tried again."""

from __future__ import annotations

import pytest

from erringapp import PatientJob
from instances import Instance
from jobcron import JobStatus


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
