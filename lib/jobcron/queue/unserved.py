"""Find types of jobs that no section runs: their jobs wait for ever, and the health of no section shows it."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from jobcron.database.clock import database_now
from jobcron.database.tables import JobSourceRow, JobTypeRow
from jobcron.jobs.job import HALVES, START_ORDER, Job, is_ready
from jobcron.settings.settings import Settings

PATIENCE = timedelta(minutes=30)
"""How long a job has to be due before it counts: another instance may be about to run it."""


class Unserved(NamedTuple):
    """A type of jobs that no section runs.

    Attributes:
        name: its name.
        age: how long its first ready job has been due.
    """

    name: str
    age: timedelta

    def __str__(self) -> str:
        """Describe the type in words, for messages."""
        waited = timedelta(seconds=round(self.age.total_seconds()))
        return f"no section runs jobs of the type {self.name}, the first of which has been due for {waited}"


def unserved_types(connection: Connection, settings: Settings) -> list[Unserved]:
    """Return the types of jobs that no section runs, and that have jobs due for `PATIENCE` and more.

    If the source of a section is named by its script only, nobody knows, and the list is empty.

    Args:
        connection: only read.
        settings: the instance's.
    """
    if any(section.source_interface is None for section in settings.sections.values()):
        return []
    served = select(JobSourceRow.type_id).where(JobSourceRow.name.in_(settings.source_names()))
    types = select(JobTypeRow.id, JobTypeRow.name).where(JobTypeRow.id.not_in(served)).order_by(JobTypeRow.name)
    # One probe of each index; a job of a later priority may be due for longer. They are put together once for all
    # types, and ask for each by itself: for all at once PostgreSQL reads the jobs that are not due.
    due = select(Job.scheduled_start, database_now()).where(Job.type_id == bindparam("type"), is_ready())
    firsts = [due.where(half).order_by(*START_ORDER).limit(1) for half in HALVES]
    found = []
    for number, name in connection.execute(types).all():
        rows = [connection.execute(first, {"type": number}).first() for first in firsts]
        ages = [row[1] - row[0] for row in rows if row is not None]
        if ages and max(ages) >= PATIENCE:
            found.append(Unserved(name, max(ages)))
    return found
