"""Deleting jobs that have ended (DBQ-06)."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from jobcron.clock import database_after
from jobcron.interfaces import JobStatus
from jobcron.job import Job
from jobcron.steps.configured import FAMILY
from jobcron.tables import JobTypeRow

BATCH = 1000


def delete_old(connection: Connection, hours: int) -> int:
    """Delete some jobs in the states COMPLETE and FAILED that were made at least so many hours ago.

    Args:
        connection: in a short transaction of its own.
        hours: by the database's clock.

    Returns:
        How many; call again until it is 0.
    """
    old = (
        select(Job.id)
        .join(JobTypeRow, Job.type_id == JobTypeRow.id)
        .where(
            JobTypeRow.name.startswith(f"{FAMILY}."),
            Job.status.in_((JobStatus.COMPLETED, JobStatus.FAILED)),
            Job.date_created <= database_after(-3600.0 * hours),
        )
        .order_by(Job.id)
        .limit(BATCH)
    )
    # The status once more: a job that is put back to the queue at this moment stays.
    ended = Job.status.in_((JobStatus.COMPLETED, JobStatus.FAILED))
    return connection.execute(delete(Job).where(Job.id.in_(old.scalar_subquery()), ended)).rowcount
