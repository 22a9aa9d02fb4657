"""How long jobs of each type waited and took lately: the half of them, and all but a twentieth."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, SQLColumnExpression, case, extract, func, select

from jobcron.database.tables import JobTypeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, has_status

JOBS = 10_000
"""How many of the newest jobs are looked at, of all types."""


@dataclass(frozen=True)
class Durations:
    """How long the last attempts of jobs of a type waited and took, in seconds.

    Attributes:
        jobs: of how many jobs this is.
        waited: for how long half of them had been ready at most when they were claimed.
        waited_most: the same for 95 of a hundred.
        ran: how long half of them took at most.
        ran_most: the same for 95 of a hundred.
    """

    jobs: int
    waited: float
    waited_most: float
    ran: float
    ran_most: float


def durations(connection: Connection) -> dict[str, Durations]:
    """Return how long jobs waited and took, by type, of those of the newest `JOBS` that completed or failed."""
    newest = select(func.max(Job.id)).scalar_subquery()
    is_later = Job.date_created > Job.scheduled_start
    ready = case((is_later, Job.date_created), else_=Job.scheduled_start)
    dialect = connection.dialect.name
    waited = _seconds(ready, Job.date_started, dialect)
    ran = _seconds(Job.date_started, Job.date_finished, dialect)
    ended = (
        select(Job.type_id.label("type"), waited.label("waited"), ran.label("ran"))
        .where(
            Job.id > newest - JOBS,
            has_status(JobStatus.COMPLETED, JobStatus.FAILED),
            Job.date_started.is_not(None),
            Job.date_finished >= Job.date_started,
        )
        .subquery()
    )
    kind = ended.c.type
    ranked = (
        select(*ended.c)
        .add_columns(
            func.count().over(partition_by=kind).label("jobs"),
            func.row_number().over(partition_by=kind, order_by=ended.c.waited).label("by_waited"),
            func.row_number().over(partition_by=kind, order_by=ended.c.ran).label("by_ran"),
        )
        .subquery()
    )

    def share(value: str, per_cent: int) -> ColumnElement[float]:
        # The first place that so many per cent of the jobs do not exceed.
        place = (ranked.c.jobs * per_cent + 99) // 100
        return func.max(case((ranked.c[f"by_{value}"] == place, ranked.c[value])))

    shares = (share("waited", 50), share("waited", 95), share("ran", 50), share("ran", 95))
    query = select(JobTypeRow.name, func.count()).add_columns(*shares)
    query = query.join(ranked, ranked.c.type == JobTypeRow.id)
    rows = connection.execute(query.group_by(JobTypeRow.name))
    return {
        name: Durations(jobs, *(max(0.0, round(float(value), 3)) for value in values))
        for name, jobs, *values in rows
    }


def _seconds(
    start: SQLColumnExpression[object], end: SQLColumnExpression[object], dialect: str
) -> SQLColumnExpression[float]:
    """Return the seconds from one time to another, as an SQL expression."""
    if dialect == "postgresql":
        return extract("epoch", end - start)
    return (func.julianday(end) - func.julianday(start)) * 86400.0
