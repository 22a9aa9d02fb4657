"""How many jobs wait in each channel: in their own, or in that of the section that runs them."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import ColumnElement, Connection, func, select

from jobcron.database.statements import among
from jobcron.database.tables import JobSourceRow, JobTypeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import HALVES, Job, has_status
from jobcron.jobs.registry import names_of, registered
from jobcron.operations.selection import sources_of
from jobcron.settings.settings import Settings

COUNTED = 10_000
"""How many of the waiting jobs are looked at, over all channels."""


def waiting_jobs(connection: Connection, settings: Settings | None) -> Counter[str]:
    """Count the jobs that wait, by channel, those that are not due yet included; `COUNTED` at most.

    Args:
        connection: only read.
        settings: the instance's, whose sections have channels; None: only jobs with a channel of their own count.
    """
    without, within = HALVES
    some = select(Job.channel).where(has_status(JobStatus.WAITING), within).limit(COUNTED).subquery()
    counted = select(some.c.channel, func.count()).group_by(some.c.channel)
    found: Counter[str] = Counter({name or "": count for name, count in connection.execute(counted)})
    if settings is None:
        return found
    seen: set[int] = set()
    for section in settings.sections.values():
        if section.channel is None:
            continue
        types = _types_of(connection, frozenset(sources_of(settings, section))) - seen
        seen |= types  # of several sections of a type, any may run a job: it counts once
        left = COUNTED - found.total()
        if types and left > 0:
            found[section.channel] += _count(connection, left, without, among(Job.type_id, sorted(types)))
    return +found


def _types_of(connection: Connection, names: frozenset[str]) -> set[int]:
    """Return the types of a section's source; the database knows the source once a run has told it."""
    known = select(JobSourceRow.type_id).where(JobSourceRow.name.in_(names))
    own = [name for name, job_class in registered().items() if not names.isdisjoint(names_of(job_class))]
    return {*connection.scalars(known), *connection.scalars(select(JobTypeRow.id).where(JobTypeRow.name.in_(own)))}


def _count(connection: Connection, most: int, *conditions: ColumnElement[bool]) -> int:
    """Count the waiting jobs that meet the conditions, `most` at most."""
    some = select(Job.id).where(has_status(JobStatus.WAITING), *conditions).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0
