"""The runner of ``runscheduledjobs``: the ordinary one, which may end at a failure, and remove what completed."""

from __future__ import annotations

from sqlalchemy import delete

from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.queue.loading import Claimed
from jobcron.runner.job_runner import JobRunner


def runner_with(*, stops: bool, deletes: bool) -> tuple[type[JobRunner], list[str]]:
    """Return a class of runners, and the tracebacks of the failures that ended its runs.

    Args:
        stops: end the run at the first job that fails; one that is tried again later has not failed.
        deletes: remove each job that completes.
    """
    told: list[str] = []

    class ScheduledJobRunner(JobRunner):
        """Runs the jobs of functions."""

        def _run_one(self, claimed: Claimed) -> None:
            claim, completed = claimed.claim, self.completed.total()
            super()._run_one(claimed)
            if self.completed.total() > completed:
                if deletes:
                    with self.database.begin() as connection:
                        done = delete(Job).where(Job.id == claim.id, Job._status == JobStatus.COMPLETED)
                        connection.execute(done)
            elif stops:
                with self.database.begin(writing=False) as connection:
                    row = connection.execute(Job.__table__.select().where(Job.id == claim.id)).first()
                if row is not None and row.status is JobStatus.FAILED:
                    told.append(row.log or f"job {claim.id} failed")
                    self.end()

    return ScheduledJobRunner, told
