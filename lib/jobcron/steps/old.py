"""Deleting jobs that have ended (DBQ-06)."""

from __future__ import annotations

from sqlalchemy import delete, select

from jobcron.clock import database_after
from jobcron.database import Database
from jobcron.interfaces import JobStatus
from jobcron.job import Job
from jobcron.steps.configured import FAMILY
from jobcron.tables import JobTypeRow
from jobcron.windows import windows

GONE = (JobStatus.COMPLETED, JobStatus.FAILED)


def delete_old(database: Database, hours: int) -> int:
    """Delete the jobs in the states COMPLETE and FAILED that were made at least so many hours ago.

    Args:
        database: where they are; no transaction is longer than a window.
        hours: by the database's clock.

    Returns:
        How many.
    """
    with database.begin(writing=False) as connection:
        before = connection.scalars(select(database_after(-3600.0 * hours))).one()
        types = set(connection.scalars(select(JobTypeRow.id).where(JobTypeRow.name.startswith(f"{FAMILY}."))))
    columns = (Job.id, Job.type_id.label("type"), Job._status.label("status"), Job.date_created)
    deleted = 0
    for rows in windows(database, Job, columns, lambda row: row.date_created <= before):
        old = [r.id for r in rows if r.date_created <= before and r.type in types and r.status in GONE]
        if old:
            with database.begin() as connection:
                # The status once more: a job that is put back to the queue at this moment stays.
                ended = delete(Job).where(Job.id.in_(old), Job._status.in_(GONE))
                deleted += connection.execute(ended).rowcount
    return deleted
