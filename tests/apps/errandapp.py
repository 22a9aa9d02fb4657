"""A type of jobs that has no table of its own, and whose jobs have nothing but the shared row."""

from __future__ import annotations

from enum import Enum

from jobcron import BaseRunnableJob, Job


class Errand(Enum):
    """Jobs without a table."""

    RUN_ERRAND = 1


class ErrandJob(BaseRunnableJob[Job]):
    """Has nothing but the shared row."""

    class_job_type = Errand.RUN_ERRAND

    def run(self) -> None:
        """Note it."""
        self.metadata["done"] = True
