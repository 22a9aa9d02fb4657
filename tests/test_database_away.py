"""A database that goes away in the middle of a run, at each of its messages in turn."""

from __future__ import annotations

import os

import pytest
from sqlalchemy.engine import make_url

from conftest import Instance
from cutting_proxy import Cut, CuttingProxy
from jobcron import JobCronScript, JobStatus, UserMistake
from jobcron.testing import BufferLogger
from jobcron.testing.server import PrivatePostgreSQL

STRIDE = 7 if os.environ.get("JOBCRON_CHAOS") else 28
"""How many messages lie between two cuts of a case; 7 cases of stride 7 meet every message."""

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def make_jobs(instance: Instance) -> dict[str, int]:
    """Make a job for each way in which an attempt ends."""
    return {
        "good": instance.act(("write", "good")),
        "checkpoint": instance.act(("write", "early"), ("checkpoint", ""), ("write", "late")),
        "retry": instance.act(("write", "never"), ("raise", "retry")),
        "bad": instance.act(("write", "never"), ("raise", "value")),
        "user": instance.act(("write", "never"), ("raise", "user"), tell=["me@example.com"]),
    }


def run(instance: Instance) -> str:
    """Run the section; return the log, which ends with the message of an error of the script."""
    logger = BufferLogger()
    script = JobCronScript(
        test_args=["act", "--config", str(instance.path)], commandline_config=True, logger=logger
    )
    try:
        script.main()
    except UserMistake as error:
        logger.error("%s", error)
    return logger.getLogBuffer()


def check(instance: Instance, jobs: dict[str, int], where: str) -> None:
    """Check what may be seen at any moment: no effect without its status, no status without its effect."""
    for name, number in jobs.items():
        row, notes = instance.row(number), [note for _, _, note in instance.ledger(number)]
        if row.status is JobStatus.COMPLETED:
            assert notes in (["good"], ["early", "late"], ["early", "early", "late"]), (where, name, notes)
        else:
            assert [n for n in notes if n != "early"] == [], (where, name, notes)
        assert (row.oops_id is not None) == (row.status is JobStatus.FAILED and name != "user"), (where, name)


def drain(instance: Instance) -> None:
    """Run until nothing is left, as cron would once the database is back and leases have ended."""
    for _ in range(6):
        for row in instance.rows():
            if row.status is JobStatus.RUNNING:
                instance.end_lease(row.id)
        run(instance)
        past = "now() - interval '1 hour'"
        instance.query(f"UPDATE jobcron_job SET scheduled_start = {past} WHERE status = 0")
        if not any(row.is_pending for row in instance.rows()):
            return
    raise AssertionError([(row.id, row.status) for row in instance.rows()])


@pytest.mark.feature("LP-01", "LP-19", "LP-23")
@on_postgresql
@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("stays_down", [False, True], ids=["for a moment", "for good"])
@pytest.mark.parametrize("first", range(1, 8))
@pytest.mark.timeout(300)
def test_no_job_is_lost_or_done_twice_wherever_the_database_goes_away(
    instance: Instance,
    server: PrivatePostgreSQL,
    monkeypatch: pytest.MonkeyPatch,
    cut: Cut,
    stays_down: bool,
    first: int,
) -> None:
    """Each case takes every so many-th message, from the first that it is given: cases can run side by side."""
    monkeypatch.setattr("jobcron.finish.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("jobcron.runner.PAUSES", (0.01, 0.01, None))
    message = first
    with CuttingProxy(server) as proxy:
        url = proxy.url(str(make_url(instance.url).database))
        while True:
            where = f"cut {cut} message {message}"
            jobs = make_jobs(instance)
            proxy.arm_at(message, cut, stays_down=stays_down)
            monkeypatch.setenv("JOBCRON_DATABASE_URL", url)
            log = run(instance)
            monkeypatch.delenv("JOBCRON_DATABASE_URL")
            was_cut = proxy.messages >= message
            proxy.heal()
            check(instance, jobs, where)
            assert "Traceback" not in log, (where, log)
            drain(instance)
            check(instance, jobs, where)
            found = {name: instance.row(number).status for name, number in jobs.items()}
            assert found == {
                "good": JobStatus.COMPLETED,
                "checkpoint": JobStatus.COMPLETED,
                "retry": JobStatus.FAILED,
                "bad": JobStatus.FAILED,
                "user": JobStatus.FAILED,
            }, where
            if not was_cut:
                return
            message += STRIDE
