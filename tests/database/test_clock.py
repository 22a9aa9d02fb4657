"""A machine whose clock is wrong: leases and due times are by the database's clock alone."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from instances import Instance, wait_until
from jobcron import JobStatus

DAY = timedelta(days=1)


def wrong_clock(shift: timedelta) -> time_machine.travel:
    """Return what makes this process's clock wrong by `shift`."""
    return time_machine.travel(datetime.now(UTC) + shift, tick=True)


@pytest.mark.parametrize("shift", [-DAY, DAY], ids=["a day behind", "a day ahead"])
def test_a_machine_with_a_wrong_clock_makes_and_runs_jobs_as_others_do(
    instance: Instance, shift: timedelta
) -> None:
    now = datetime.now(UTC)
    with wrong_clock(shift):
        job = instance.act(("write", "done"))
        retried = instance.act(("raise", "retryable"))  # in an hour
        later = instance.act()
    instance.query(
        "UPDATE jobcron_job SET scheduled_start = :later WHERE id = :id",
        later=_stored(instance, now + DAY / 2),
        id=later,
    )
    with wrong_clock(shift):
        log = instance.run("act")
    assert "Ran 1 ActJob jobs." in log
    row = instance.row(job)
    assert row.status is JobStatus.COMPLETED
    for moment in (row.date_created, row.date_started, row.date_finished):
        assert moment is not None
        assert abs(moment - now) < timedelta(minutes=1)
    assert timedelta(minutes=59) < instance.row(retried).scheduled_start - now < timedelta(minutes=61)
    assert instance.row(later).status is JobStatus.WAITING  # whatever this machine believes


@pytest.mark.parametrize("shift", [-DAY, DAY], ids=["a day behind", "a day ahead"])
def test_a_machine_with_a_wrong_clock_takes_no_live_job(
    instance: Instance, tmp_path: Path, shift: timedelta
) -> None:
    started, go_on = tmp_path / "started", tmp_path / "go on"
    job = instance.act(("touch", str(started)), ("wait_for", str(go_on)), ("write", "done"))
    with instance.start("act") as other:
        wait_until(started.exists, "the job to start")
        (instance.state / "locks").rename(instance.state / "locks of the other machine")
        with wrong_clock(shift):
            assert "Ran" not in instance.run("act")
        go_on.touch()
        assert other.wait(30) == 0
    assert instance.ledger(job) == [(job, 1, "done")]
    assert instance.row(job).crash_count == 0


@pytest.mark.parametrize("shift", [-DAY, DAY], ids=["a day behind", "a day ahead"])
def test_a_whole_process_with_a_wrong_clock_leaves_the_rows_right(
    instance: Instance, tmp_path: Path, shift: timedelta
) -> None:
    """A real process; its reports carry the machine's time, which is all it has."""
    (tmp_path / "sitecustomize.py").write_text(
        "import datetime, time_machine\n"
        f"now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds={shift.total_seconds()})\n"
        "time_machine.travel(now, tick=True).start()\n"
    )
    good, bad = instance.act(("write", "done")), instance.act(("raise", "value"))
    command = [sys.executable, "-m", "jobcron.commands", "run", "act", "--config", str(instance.path)]
    done = subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{datetime.now(UTC) + shift:%Y-%m-%d} " in done.stderr  # the clock was wrong indeed
    assert instance.row(good).status is JobStatus.COMPLETED
    row = instance.row(bad)
    assert row.oops_id in {path.name for path in instance.oopses()}
    assert row.date_finished is not None
    assert abs(row.date_finished - datetime.now(UTC)) < timedelta(minutes=1)


def _stored(instance: Instance, moment: datetime) -> object:
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}" if instance.database.dialect == "sqlite" else moment
