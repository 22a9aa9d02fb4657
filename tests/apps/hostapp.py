"""A job that leaves a trace of every moment in which it runs, for tests with several hosts."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from fooapp import ActJob, Ledger, register
from jobcron import BaseRunnableJob, JobType
from jobcron.runner.grouped import _pace

__all__ = ["register"]

BEAT_SECONDS = 0.02


class HostJobType(JobType):
    """The types of these jobs."""

    BEAT = 1
    BRIEF_LEASE = 2


class GroupedJobType(JobType):
    """The type of jobs of the family of foos, with a number that no other has."""

    GROUPED = 40


class BeatJob(BaseRunnableJob):
    """A job that writes the time again and again: so often, or until the file ``enough`` is there."""

    class_job_type = HostJobType.BEAT

    folder: str
    beats: int

    def run(self) -> None:
        """Write the time of the machine, which all its namespaces share."""
        path = Path(self.folder, f"beats-{self.job.id}-{os.getpid()}")
        for _ in range(self.beats):
            with path.open("a", encoding="ascii") as file:
                file.write(f"{time.clock_gettime(time.CLOCK_REALTIME)}\n")
            time.sleep(BEAT_SECONDS)
            if path.with_name("enough").exists():
                break
        self.session.add(Ledger(job=self.job.id, attempt=self.job.attempt_count, note=str(os.getpid())))


class BriefLeaseJob(BaseRunnableJob):
    """A job with a short lease that waits for a file of its attempt."""

    class_job_type = HostJobType.BRIEF_LEASE
    lease_duration = timedelta(seconds=6)

    folder: str

    def run(self) -> None:
        """Say that the attempt has begun, and wait until it may go on."""
        attempt = self.job.attempt_count
        self.session.add(Ledger(job=self.job.id, attempt=attempt, note=f"attempt {attempt}"))
        Path(self.folder, f"begun-{attempt}").touch()
        while not Path(self.folder, f"go-{attempt}").exists():
            time.sleep(BEAT_SECONDS)
        Path(self.folder, f"ended-{attempt}").touch()


class GroupedJob(ActJob):
    """Does what its data says, in a transaction that it shares."""

    class_job_type: ClassVar[Any] = GroupedJobType.GROUPED
    database_only = True
    group_commit = True


def register_with_long_groups() -> None:
    """Let groups last, whatever else the machine does."""
    _pace.GROUP_SECONDS = 5.0
    register()
