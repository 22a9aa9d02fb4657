"""The runner of ``runscheduledjobs``: the ordinary one, with options to stop and to delete jobs."""

from __future__ import annotations

import logging

from sqlalchemy import delete, select

from jobcron.database.database import TransactionSource
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.jobs.moves.edges import is_waited_for
from jobcron.queue.outcome import Completed
from jobcron.runner.job_runner import JobRunner
from jobcron.runner.source_runner import Guard, JobEnd


class ScheduledRuns(Guard):
    """Makes runners for the jobs of functions, and watches each job's outcome.

    Args:
        stops: whether to end the run at the first failed job; a job that will be retried has not failed.
        deletes: whether to delete each job that completes.

    Attributes:
        failures: the tracebacks of the failures that ended runs.
    """

    def __init__(self, *, stops: bool, deletes: bool) -> None:
        self._stops = stops
        self._deletes = deletes
        self._runner: JobRunner | None = None
        self.failures: list[str] = []

    def for_source(
        self, source: object, database: TransactionSource, logger: logging.Logger | None = None, **options: object
    ) -> JobRunner:
        """Return a runner; see `JobRunner.for_source`."""
        self._runner = JobRunner(source, database, logger=logger, guard=self, **options)
        return self._runner

    def job_ended(self, end: JobEnd) -> None:
        """Delete a completed job, or end the run at a failed one."""
        assert self._runner is not None
        database, job_id = self._runner.database, end.claim.id
        if isinstance(end.outcome, Completed):
            if self._deletes:
                with database.begin() as connection:
                    done = (Job.id == job_id, Job._status == JobStatus.COMPLETED, ~is_waited_for())
                    connection.execute(delete(Job).where(*done))
        elif self._stops:
            with database.begin(writing=False) as connection:
                row = connection.execute(select(Job._status, Job.log).where(Job.id == job_id)).first()
            if row is not None and row[0] is JobStatus.FAILED:
                self.failures.append(row.log or f"job {job_id} failed")
                self._runner.end()
