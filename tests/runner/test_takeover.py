"""Takeover at once: whoever holds a section's lock knows that the runs that held it before are over."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fooapp import OwnReadyJob
from instances import Instance
from jobcron import JobStatus
from runner_processes import Gate, batch_behind, configure, make, numbers, started
from shortleaseapp import BusyJob
from ticks import took_the_full_path

WRITE = ("write", "effect")

KILLED = -signal.SIGKILL

GONE = "its process was gone"


def details(instance: Instance, kind: str) -> list[str]:
    """Return the details of all events of a kind."""
    return [detail for (detail,) in instance.query(f"SELECT detail FROM jobcron_event WHERE kind = '{kind}'")]


def lock_file(instance: Instance, section: str) -> Path:
    """Return the file of a section's lock."""
    return instance.state / "locks" / f"{section}.lock"


def die(instance: Instance, gate: Gate) -> int:
    """Make a job whose process is killed while it runs, and return its number."""
    job = instance.act(WRITE, gate.touch, gate.wait)
    with started(instance, "act") as run:
        gate.reached()
        run.kill()
    gate.open()
    assert instance.row(job).status is JobStatus.RUNNING
    instance.database.close()
    return job


@pytest.mark.feature("N-15", "LP-23")
def test_the_next_tick_runs_the_job_of_a_killed_process_again_whatever_its_lease(
    instance: Instance, gate: Gate
) -> None:
    job = die(instance, gate)
    killed = time.monotonic()
    assert took_the_full_path(instance, "act")
    seconds = time.monotonic() - killed
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 2, 1)
    assert (row.lease_token, row.lease_expires) == (2, None)
    assert instance.ledger() == [(job, 2, "effect")]
    assert instance.events(job) == ["taken over"]
    assert details(instance, "taken over")[0].startswith(GONE)
    assert instance.oopses() == []
    assert seconds < 30  # of a lease of 300
    assert not took_the_full_path(instance, "act")


@pytest.mark.feature("N-15")
def test_the_log_says_that_the_process_was_gone(instance: Instance, gate: Gate) -> None:
    job = die(instance, gate)
    _, log = instance.command("run", "act")
    assert f"INFO    Job {job} was taken over: {GONE}.\n" in log


@pytest.mark.feature("N-15")
def test_runs_that_could_do_nothing_in_between_do_not_forget_what_an_earlier_one_left(
    instance: Instance, gate: Gate
) -> None:
    job = die(instance, gate)
    path = instance.path / "jobcron.conf"
    text = path.read_text()
    path.write_text(text.replace("fooapp:register", "no_such_module:register"))
    for _ in range(2):
        instance.command("run", "act", expect=2)
    path.write_text(text)
    instance.command("run", "act")
    assert (instance.row(job).status, instance.row(job).crash_count) == (JobStatus.COMPLETED, 1)


def move(path: Path) -> None:
    """Put a copy of the file in its place: it has another number."""
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o600)
    copy.rename(path)


def start_the_machine_again(path: Path) -> None:
    """Make the file as it is after a start of the machine, or on another host."""
    first, place, *names = path.read_text().splitlines()
    path.write_text("\n".join([first, f"boot {'0' * 36},{place.partition(',')[2]}", *names, ""]))


@pytest.mark.feature("N-15")
@pytest.mark.parametrize("doubt", [Path.unlink, move, start_the_machine_again], ids=lambda doubt: doubt.__name__)
def test_where_it_is_in_doubt_who_held_the_lock_the_lease_decides(
    instance: Instance, gate: Gate, doubt: Callable[[Path], None]
) -> None:
    job = die(instance, gate)
    doubt(lock_file(instance, "act"))
    instance.command("run", "act")
    assert (instance.row(job).status, instance.row(job).lease_token) == (JobStatus.RUNNING, 1)
    instance.end_lease(job)
    instance.command("run", "act")
    assert (instance.row(job).status, instance.row(job).crash_count) == (JobStatus.COMPLETED, 1)
    assert details(instance, "taken over")[0].startswith("the lease was past")


@pytest.mark.feature("N-15")
def test_a_live_run_of_another_lock_directory_on_the_same_host_loses_nothing(
    instance: Instance, gate: Gate, tmp_path: Path
) -> None:
    job = instance.act(gate.touch, gate.wait, WRITE)
    with started(instance, "act") as run:
        gate.reached()
        text = lock_file(instance, "act").read_bytes()
        folder = tmp_path / "elsewhere"
        folder.mkdir(mode=0o700)
        (folder / "act.lock").write_bytes(text)  # even where the file was copied
        instance.configure(f"lock_dir: {folder}")
        instance.command("run", "act")
        assert instance.events(job) == []
        gate.open()
        assert "Ran 1 ActJob" in run.end()
    assert (instance.row(job).status, instance.row(job).lease_token) == (JobStatus.COMPLETED, 1)


@pytest.mark.feature("N-15", "LP-23")
def test_what_was_claimed_with_a_job_that_killed_its_process_runs_in_the_next_run(
    instance: Instance, tmp_path: Path
) -> None:
    configure(instance)
    killer, neighbours = batch_behind(instance, WRITE, ("kill_once", str(tmp_path / "died")))
    instance.command("run", "busy", expect=KILLED)
    assert len(numbers(instance, JobStatus.RUNNING)) > 1
    instance.command("run", "busy")
    assert numbers(instance, JobStatus.COMPLETED) == [row.id for row in instance.rows()]
    assert [job for job, *_ in instance.ledger()] == [killer, *neighbours]
    rows = [instance.row(job) for job in (killer, *neighbours)]
    counts = {row.id: (row.attempt_count, row.crash_count) for row in rows}
    assert counts == {killer: (2, 1), **dict.fromkeys(neighbours, (1, 0))}


@pytest.mark.feature("N-15", "LP-23")
def test_a_job_that_kills_each_of_its_processes_fails_in_as_many_ticks_as_it_may_die(instance: Instance) -> None:
    configure(instance)
    poison = make(instance, BusyJob, ("kill", ""))
    for _ in range(3):
        instance.command("run", "busy", expect=KILLED)
    instance.command("run", "busy")
    row = instance.row(poison)
    assert (row.status, row.crash_count) == (JobStatus.FAILED, 3)
    assert instance.events(poison) == ["taken over", "taken over", "taken over", "failed"]


@pytest.mark.feature("N-15", "LP-05")
def test_a_source_that_finds_its_jobs_itself_finds_that_of_a_killed_process_at_once(
    instance: Instance, tmp_path: Path
) -> None:
    with instance.session() as session:
        metadata = {"die_once": str(tmp_path / "died")}
        job = OwnReadyJob.create(instance.foo(session), metadata=metadata, session=session).job.id
    instance.command("run", "own_ready", expect=KILLED)
    instance.command("run", "own_ready")
    assert (instance.row(job).status, instance.row(job).crash_count) == (JobStatus.COMPLETED, 1)


@pytest.mark.feature("N-15", "LP-18")
def test_a_stopped_process_keeps_its_lock_and_its_jobs(instance: Instance, gate: Gate) -> None:
    job = instance.act(gate.touch, gate.wait, WRITE)
    with started(instance, "act") as run:
        gate.reached()
        run.signal(signal.SIGSTOP)
        instance.command("run", "act", expect=3)
        assert instance.events(job) == []
        gate.open()
        run.signal(signal.SIGCONT)
        run.end()
    assert (instance.row(job).status, instance.row(job).lease_token) == (JobStatus.COMPLETED, 1)


@pytest.mark.feature("N-15", "LP-17")
def test_a_group_starts_the_section_whose_process_was_killed(instance: Instance, gate: Gate) -> None:
    job = die(instance, gate)
    instance.command("process-job-sources", "--all")
    assert (instance.row(job).status, instance.row(job).crash_count) == (JobStatus.COMPLETED, 1)


@pytest.mark.feature("N-15")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_renewal_of_the_dead_process_does_not_keep_its_job(instance: Instance, gate: Gate) -> None:
    job = die(instance, gate)
    instance.query(
        "INSERT INTO jobcron_renewal (job, lease_token, lease_expires) "
        "VALUES (:id, 1, statement_timestamp() + interval '5 minutes')",
        id=job,
    )
    instance.command("run", "act")
    assert (instance.row(job).status, instance.row(job).crash_count) == (JobStatus.COMPLETED, 1)
