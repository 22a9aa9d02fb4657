"""A job that leaves a trace of every moment in which it runs, for tests with several hosts."""

from __future__ import annotations

import os
import time
from pathlib import Path

from fooapp import Ledger, register
from jobcron import BaseRunnableJob, JobType

__all__ = ["register"]

BEAT_SECONDS = 0.02


class HostJobType(JobType):
    """The types of these jobs."""

    BEAT = 1


class BeatJob(BaseRunnableJob):
    """A job that writes the time again and again, until it has written often enough or a file is there."""

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
        self.session.add(Ledger(job=self.job.id, attempt=self.job.attempt_count, note=str(os.getpid())))
