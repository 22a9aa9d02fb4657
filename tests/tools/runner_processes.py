"""Start runners as separate processes, for tests that kill, stop and race them; and stop jobs at a known point."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from instances import SECTIONS, Instance, Process, wait_until
from jobcron import Job, JobStatus
from jobcron.database.clock import database_now
from jobcron.database.tables import Renewal
from shortleaseapp import SECTIONS as HASTY_SECTIONS
from shortleaseapp import BusyJob

SECONDS = 30.0


class Gate:
    """A point in a job: the job says that it is there, and waits until the test lets it go on."""

    def __init__(self, folder: Path, name: str = "gate") -> None:
        self.folder = folder
        self._here = folder / f"{name}-here"
        self._go = folder / f"{name}-go"
        self.touch = ("touch", str(self._here))
        self.wait = ("wait_for", str(self._go))

    def reached(self, times: int = 1) -> None:
        """Wait until a job has come here, so often in all."""
        wait_until(lambda: self.count() >= times, f"a job at {self._here.name}")

    def count(self) -> int:
        """Return how often a job came here."""
        return len(self._here.read_text().splitlines()) if self._here.exists() else 0

    def open(self) -> None:
        """Let the jobs go on."""
        self._go.touch()


class Run:
    """A run of a section in a process of its own."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the process with SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(SECONDS)

    def end(self, *expect: int) -> str:
        """Wait for the end of the run, and return its log; it has to leave with one of these, by default 0."""
        _, log = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode in (expect or (0,)), log
        return log


@contextmanager
def started(instance: Instance, section: str, *arguments: str) -> Iterator[Run]:
    """Start a run; it does not outlive the block."""
    run = Run(instance.start(section, *arguments))
    try:
        yield run
    finally:
        run.kill()
        assert run.process.stderr is not None
        run.process.stderr.close()


def configure(
    instance: Instance, more: str = "", *, quick_keeper: bool = False, patient_keeper: bool = False
) -> None:
    """Write a configuration with the sections of `shortleaseapp`, and on demand with another keeper."""
    instance.configure(more, SECTIONS + HASTY_SECTIONS)
    if quick_keeper or patient_keeper:
        keeper = "quick" if quick_keeper else "patient"
        path = instance.path / "jobcron.conf"
        path.write_text(
            path.read_text().replace("fooapp:register", f"shortleaseapp:register_with_{keeper}_keeper")
        )


def make(instance: Instance, job_class: Any, *actions: tuple[str, Any], **values: Any) -> int:
    """Commit a job of a class that does these actions, and return its number."""
    with instance.session() as session:
        metadata = {"do": [list(action) for action in actions], "tell": ["user@example.com"]}
        job = job_class.create(instance.foo(session), metadata=metadata, session=session, **values)
        return int(job.job.id)


def seen(instance: Instance, job_id: int) -> Job:
    """Return a job as it is committed, also while another job holds SQLite's write lock."""
    with instance.database.session(writing=False) as session:
        job = session.get_one(Job, job_id)
        session.expunge(job)
        return job


def numbers(instance: Instance, status: JobStatus) -> list[int]:
    """Return the numbers of the jobs with a status."""
    return [row.id for row in instance.rows() if row.status is status]


def end_leases(instance: Instance) -> None:
    """Move the leases of all RUNNING jobs into the past, to one moment: that of a batch is one."""
    with instance.session() as session:
        for job in session.scalars(select(Job).where(Job.status == JobStatus.RUNNING)):
            job.lease_expires = datetime(2020, 1, 1, tzinfo=UTC)
        session.execute(delete(Renewal))


def drain(instance: Instance, section: str) -> None:
    """Run a section, again and again with all leases ended, until none of its jobs waits or runs."""

    def is_drained() -> bool:
        end_leases(instance)
        instance.run(section)
        return not numbers(instance, JobStatus.WAITING) and not numbers(instance, JobStatus.RUNNING)

    wait_until(is_drained, "all jobs to be done")


def is_as_never_claimed(row: Job) -> bool:
    """Tell whether a job waits as if nobody had ever taken it."""
    return (row.status, row.attempt_count, row.crash_count, row.lease_expires, row.claimed_by) == (
        JobStatus.WAITING,
        0,
        0,
        None,
        None,
    )


WRITE = ("write", "effect")


def batch_behind(instance: Instance, *actions: tuple[str, Any], **values: Any) -> tuple[int, list[int]]:
    """Make a job, and five neighbours of which some are claimed together with it.

    Two quick jobs come first: the runner claims more at once when it has seen that jobs are quick.
    """
    make(instance, BusyJob)
    make(instance, BusyJob)
    first = make(instance, BusyJob, *actions, **values)
    return first, [make(instance, BusyJob, ("expect_no_transaction", ""), WRITE) for _ in range(5)]


def before_it_waits(instance: Instance, *actions: tuple[str, Any], gate: Gate) -> list[tuple[str, Any]]:
    """Return actions before and after a wait: SQLite's one write lock lets others see nothing in between."""
    waiting = [gate.touch, gate.wait]
    return [*waiting, *actions] if instance.database.dialect == "sqlite" else [*actions, *waiting]


def first_lease(instance: Instance, job: int) -> datetime:
    """Return when the lease ends that a job has now."""
    lease = instance.lease_end(job)
    assert lease is not None
    return lease


def wait_past(instance: Instance, moment: datetime) -> None:
    """Wait until the database's clock is well past a moment."""

    def is_past() -> bool:
        with instance.database.reading.connect() as connection:
            now = connection.scalar(select(database_now()))
        return now is not None and now > moment + timedelta(seconds=0.2)

    wait_until(is_past, f"{moment} to be past")
