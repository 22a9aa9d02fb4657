"""The runner of ``runscheduledjobs``: the ordinary one, which may end at a failure, and remove what completed."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import delete, select

from jobcron.database.database import TransactionSource
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.queue.outcome import Completed
from jobcron.runner.job_runner import JobRunner
from jobcron.runner.source_runner import Guard, JobEnd


class ScheduledRuns(Guard):
    """Makes runners of the jobs of functions, and looks at what becomes of each job.

    Args:
        stops: end the run at the first job that fails; one that is tried again later has not failed.
        deletes: remove each job that completes.

    Attributes:
        failures: the tracebacks of the failures that ended runs.
    """

    def __init__(self, *, stops: bool, deletes: bool) -> None:
        self._stops = stops
        self._deletes = deletes
        self._runner: JobRunner | None = None
        self.failures: list[str] = []

    def for_source(
        self, source: object, database: TransactionSource, logger: logging.Logger | None = None, **options: Any
    ) -> JobRunner:
        """Return a runner; see `JobRunner.for_source`."""
        self._runner = JobRunner(source, database, logger=logger, guard=self, **options)
        return self._runner

    def job_ended(self, end: JobEnd) -> None:
        """Remove a job that completed, or end the run at one that failed."""
        assert self._runner is not None
        database, job_id = self._runner.database, end.claim.id
        if isinstance(end.outcome, Completed):
            if self._deletes:
                with database.begin() as connection:
                    done = delete(Job).where(Job.id == job_id, Job._status == JobStatus.COMPLETED)
                    connection.execute(done)
        elif self._stops:
            with database.begin(writing=False) as connection:
                row = connection.execute(select(Job._status, Job.log).where(Job.id == job_id)).first()
            if row is not None and row[0] is JobStatus.FAILED:
                self.failures.append(row.log or f"job {job_id} failed")
                self._runner.end()
