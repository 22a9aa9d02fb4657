"""The parent of isolated jobs: renews their leases, is stopped, killed, or asked to stop."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

import misbehavingapp
from instances import Instance, wait_until
from isolated_jobs import configure, is_alive, make, reports
from jobcron import JobStatus
from jobcron.errors import LockHeld
from jobcron.runner.isolated._child import Child
from jobcron.scripts.locks.lock import RunLock


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
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_stop_puts_the_job_back_and_ends_its_process(
    harsh: Instance, tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "began"
    conf = harsh.path / "jobcron.conf"
    conf.write_text(conf.read_text().replace("oops_prefix: T", "oops_prefix: T\ngrace_seconds: 0s"))
    with harsh.session() as session:
        job = misbehavingapp.LongJob.create(seconds=600, path=str(path), session=session).id
        other = misbehavingapp.LongJob.create(seconds=0, path=str(path), session=session).id
    running = harsh.start("long")
    wait_until(lambda: path.exists() and path.read_text(), "the job to begin")
    process = int(path.read_text())
    running.send_signal(number)
    assert running.wait(20) == 0  # it hangs in C code: after some seconds it is killed
    assert [harsh.row(job).status, harsh.row(other).status] == [JobStatus.WAITING] * 2
    assert harsh.row(job).attempt_count == 0
    assert harsh.events(job) == ["interrupted"]
    assert not is_alive(process)
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


@pytest.mark.feature("LP-23", "LP-24")
def test_a_job_whose_process_was_still_starting_has_not_begun_and_its_death_is_not_counted(
    harsh: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = make(harsh, "well")
    monkeypatch.setenv(misbehavingapp.SLOW_CHILD, "1")
    for token in (1, 2, 3):
        running = harsh.start("harsh")
        wait_for_its_process(harsh, job, token)
        running.kill()
        running.wait()
        wait_until(lambda: is_free(harsh, "harsh"), "the child to notice")
    monkeypatch.delenv(misbehavingapp.SLOW_CHILD)
    harsh.command("run", "harsh")
    row = harsh.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 1, 0)
    assert row.date_started is not None


def wait_for_its_process(instance: Instance, job: int, token: int) -> None:
    """Wait until a job is claimed under a token, and has not begun."""

    def waits() -> bool:
        row = instance.row(job)
        return (row.status, row.date_started, row.lease_token) == (JobStatus.RUNNING, None, token)

    wait_until(waits, "the job to wait for its process")


def is_free(instance: Instance, section: str) -> bool:
    """Tell whether nobody holds a section's lock."""
    with (instance.state / "locks" / f"{section}.lock").open() as file, suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    return False


@pytest.mark.feature("N-15", "LP-24")
@pytest.mark.parametrize("stops_child", [False, True], ids=["the child dies too", "the child is stopped first"])
def test_the_job_of_a_killed_parent_runs_again_at_once_when_its_child_has_ended(
    harsh: Instance, tmp_path: Path, stops_child: bool
) -> None:
    path = tmp_path / "began"
    with harsh.session() as session:
        job = misbehavingapp.LongJob.create(seconds=2, path=str(path), session=session).id
    running = harsh.start("long")
    wait_until(lambda: path.exists() and path.read_text(), "the job to begin")
    child = int(path.read_text())
    if stops_child:
        os.kill(child, signal.SIGSTOP)
    running.kill()
    running.wait()
    wait_until(lambda: is_free(harsh, "long"), "the child to die with its parent")
    assert not is_alive(child)
    harsh.command("run", "long")
    row = harsh.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 2, 1)


@pytest.mark.feature("N-15", "LP-24")
def test_a_child_that_outlives_its_parent_keeps_the_lock_of_its_section(tmp_path: Path) -> None:
    lock = RunLock(str(tmp_path), "foo")
    lock.acquire()
    child = Child({}, lock.descriptor)
    try:
        assert lock.descriptor is not None
        os.close(lock.descriptor)
        lock.descriptor = None  # as the kernel does it for a process that is killed
        with pytest.raises(LockHeld):
            RunLock(str(tmp_path), "foo").acquire()
    finally:
        child.end()
    RunLock(str(tmp_path), "foo").acquire()


@pytest.mark.feature("LP-23", "LP-24")
def test_a_job_that_died_too_often_is_ended_without_a_process(
    harsh: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    (poison,) = make(harsh, "well")
    harsh.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 3, begun_token = 3, attempt_count = 3, crash_count = 2, "
        f"date_started = date_created, lease_expires = date_created WHERE id = {poison}"
    )
    harsh.end_lease(poison)
    monkeypatch.setenv(misbehavingapp.SLOW_CHILD, "1")
    harsh.command("run", "harsh")
    row = harsh.row(poison)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.FAILED, 3, 3)
    (report,) = reports(harsh)
    assert report["type"] == "CrashLimitReached"
    assert "3 attempts at this job began and left no end" in report["value"]
