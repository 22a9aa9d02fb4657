"""The parent of isolated jobs: renews their leases, is stopped, killed, or asked to stop."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import misbehavingapp
from instances import Instance, wait_until
from isolated_jobs import configure, is_alive, reports
from jobcron import JobStatus


@pytest.mark.feature("LP-23", "LP-24")
def test_the_parent_renews_the_lease_of_a_job_that_cannot_and_nobody_takes_it_over(
    harsh: Instance, tmp_path: Path
) -> None:
    path = tmp_path / "began"
    with harsh.session() as session:
        job = misbehavingapp.LongJob.create(seconds=5, path=str(path), session=session).id
    running = harsh.start("long")
    wait_until(path.exists, "the job to begin")
    configure(harsh, lock_dir=tmp_path / "second")  # another host has a lock directory of its own
    while running.poll() is None:
        harsh.command("run", "long")
        time.sleep(0.3)
    assert running.returncode == 0
    row = harsh.row(job)
    assert (row.status, row.attempt_count, row.lease_token) == (JobStatus.COMPLETED, 1, 1)
    assert len(path.read_text().splitlines()) == 1


@pytest.mark.feature("LP-23", "LP-24")
def test_a_parent_that_was_stopped_past_the_lease_commits_nothing(harsh: Instance, tmp_path: Path) -> None:
    path = tmp_path / "began"
    with harsh.session() as session:
        job = misbehavingapp.LongJob.create(seconds=2, path=str(path), session=session).id
    running = harsh.start("long")
    wait_until(lambda: path.exists() and path.read_text(), "the job to begin")
    child = int(path.read_text())
    running.send_signal(signal.SIGSTOP)
    os.kill(child, signal.SIGSTOP)  # or it ends before it is taken over, where the machine is slow
    harsh.end_lease(job)
    configure(harsh, lock_dir=tmp_path / "second")  # another host has a lock directory of its own
    second = harsh.start("long")
    wait_until(lambda: harsh.row(job).lease_token == 2, "the job to be taken over")
    os.kill(child, signal.SIGCONT)
    running.send_signal(signal.SIGCONT)
    _, err = running.communicate()
    assert "lost its lease; nothing was committed." in err
    assert "Ran 1 LongJob" not in err
    _, err = second.communicate()
    assert "Ran 1 LongJob jobs." in err
    row = harsh.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 2, 1)
    assert reports(harsh) == []


@pytest.mark.feature("LP-24")
def test_sigterm_puts_the_job_back_and_ends_its_process(harsh: Instance, tmp_path: Path) -> None:
    path = tmp_path / "began"
    conf = harsh.path / "jobcron.conf"
    conf.write_text(conf.read_text().replace("oops_prefix: T", "oops_prefix: T\ngrace_seconds: 0s"))
    with harsh.session() as session:
        job = misbehavingapp.LongJob.create(seconds=600, path=str(path), session=session).id
        other = misbehavingapp.LongJob.create(seconds=0, path=str(path), session=session).id
    running = harsh.start("long")
    wait_until(lambda: path.exists() and path.read_text(), "the job to begin")
    number = int(path.read_text())
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 0  # it hangs in C code: after some seconds it is killed
    assert [harsh.row(job).status, harsh.row(other).status] == [JobStatus.WAITING] * 2
    assert harsh.row(job).attempt_count == 0
    assert harsh.events(job) == ["interrupted"]
    assert not is_alive(number)
    assert reports(harsh) == []


@pytest.mark.feature("LP-23", "LP-24")
def test_a_killed_parent_takes_its_children_along_and_the_job_is_taken_over(
    harsh: Instance, tmp_path: Path
) -> None:
    path = tmp_path / "began"
    with harsh.session() as session:
        job = misbehavingapp.LongJob.create(seconds=2, path=str(path), session=session).id
    running = harsh.start("long")
    wait_until(lambda: path.exists() and path.read_text(), "the job to begin")
    running.kill()
    running.wait()
    number = int(path.read_text())
    wait_until(lambda: not is_alive(number), "the child to die")
    harsh.end_lease(job)
    harsh.command("run", "long")
    row = harsh.row(job)
    assert (row.status, row.crash_count) == (JobStatus.COMPLETED, 1)
