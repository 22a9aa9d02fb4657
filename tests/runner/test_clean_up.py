"""Clean-up after a failure: it has its own time, and changes nothing about the outcome."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import shortleaseapp
from endless import ENDLESS_SECONDS, soon
from erringapp import LeavingJob
from instances import Instance
from jobcron import Job, JobStatus
from runner_processes import make
from shortleaseapp import BusyJob, LimitedJob


@pytest.mark.feature("LP-19")
def test_a_key_pressed_while_a_job_cleans_up_ends_the_run_and_the_job_has_failed(erring: Instance) -> None:
    with erring.session() as session:
        jobs = [
            LeavingJob.create(where=place, pressed=True, session=session).id
            for place in ("afterFailure", "nowhere")
        ]
    _, err = erring.command("run", "leaving", expect=1)
    assert err.endswith("ERROR   Stopped from the keyboard\n")
    assert "INFO    1 LeavingJob jobs did not complete.\n" in err
    assert [erring.row(job).status for job in jobs] == [JobStatus.FAILED, JobStatus.WAITING]
    assert erring.row(jobs[0]).oops_id


def test_a_job_that_is_interrupted_has_time_to_clean_up(
    quick_keeper: Instance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(self: LimitedJob) -> None:
        try:
            time.sleep(60)
        finally:
            time.sleep(6 * shortleaseapp.POLL_SECONDS)
            (tmp_path / "clean").touch()

    monkeypatch.setattr(LimitedJob, "run", run)
    job = make(quick_keeper, LimitedJob)
    quick_keeper.run("limited")
    assert quick_keeper.row(job).status is JobStatus.FAILED
    assert (tmp_path / "clean").exists()


@pytest.mark.feature("LP-24")
def test_what_a_job_does_after_a_failure_has_a_time_limit(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(self: LimitedJob, error: BaseException) -> None:
        self.act_write("after")
        time.sleep(ENDLESS_SECONDS)

    monkeypatch.setattr(LimitedJob, "afterFailure", endless, raising=False)
    failed = make(short_grace, LimitedJob, ("raise", "value"))
    neighbour = make(short_grace, LimitedJob, ("write", "effect"))
    with soon():
        short_grace.run("limited")
    assert "no such foo" in str(short_grace.row(failed).log)
    assert short_grace.ledger() == [(neighbour, 1, "effect")]


@pytest.mark.feature("LP-23")
def test_a_stop_is_no_failure_whatever_the_jobs_cleaning_up_raises(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: BusyJob) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            time.sleep(ENDLESS_SECONDS)
        finally:
            raise RuntimeError("cannot clean up")

    monkeypatch.setattr(BusyJob, "run", run)
    job = make(short_grace, BusyJob)
    with soon():
        short_grace.run("busy")
    row: Job = short_grace.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.WAITING, 0)
    assert short_grace.oopses() == []
