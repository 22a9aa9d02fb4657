"""Delete jobs that have ended (DBQ-06)."""

from __future__ import annotations

from sqlalchemy import delete, select

from jobcron.database.clock import age_in_seconds
from jobcron.database.database import Database
from jobcron.database.statements import among
from jobcron.database.tables import JobTypeRow
from jobcron.database.walk import WalkedRow, windows
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.jobs.moves.edges import is_waited_for
from jobcron.steps.definitions import FAMILY

GONE = (JobStatus.COMPLETED, JobStatus.FAILED)


def delete_old(database: Database, hours: int) -> int:
    """Delete the jobs in the states COMPLETE and FAILED that were created at least `hours` ago.

    Args:
        database: the database of the jobs; they are deleted in several short transactions.
        hours: the least age, in hours, by the database's clock.

    Returns:
        The number of jobs deleted.
    """
    with database.begin(writing=False) as connection:
        types = set(connection.scalars(select(JobTypeRow.id).where(JobTypeRow.name.startswith(f"{FAMILY}."))))
    age = age_in_seconds(Job.date_created).label("age")
    columns = (Job.type_id.label("type"), Job._status.label("status"), age)

    def is_old(row: WalkedRow) -> bool:
        return row.age is not None and row.age >= 3600.0 * hours

    deleted = 0
    for rows in windows(database, Job.id, columns, is_old):
        old = [r.id for r in rows if is_old(r) and r.type in types and r.status in GONE]
        if old:
            with database.begin() as connection:
                # Check the status again: a job that is requeued at this moment stays, and so does one that
                # another job has as predecessor and has not read.
                ended = delete(Job).where(among(Job.id, old), Job._status.in_(GONE), ~is_waited_for())
                deleted += connection.execute(ended).rowcount
    return deleted
