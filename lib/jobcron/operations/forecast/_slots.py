"""The schedules that create jobs at the beginning of a section's next run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from jobcron.jobs import known_types
from jobcron.schedules.creating import Scope, due_schedules, slots_to_create
from jobcron.schedules.running import look_at_schedules
from jobcron.settings.settings import Settings


@dataclass(frozen=True)
class DueSchedule:
    """A schedule of which slots are due.

    Attributes:
        name: its name.
        job: the dotted name of the class or function of its jobs, which another section may run.
        count: how many jobs it creates.
        first: the local time of the first slot that gets a job.
    """

    name: str
    job: str
    count: int
    first: str


def due_of_section(connection: Connection, settings: Settings, source: str) -> Iterator[DueSchedule]:
    """Yield the schedules for which the next run of a section creates jobs, in its order; only reads.

    Schedules that no run has stored yet are not among them: they begin with their next slot.

    Args:
        connection: in a transaction that only reads.
        settings: the instance's settings; its application has been imported.
        source: the dotted name of the section's source.

    Raises:
        ConfigurationError: two schedules have the same name.
    """
    sources = known_types.registered_sources(settings.source_names())
    type_name = known_types.types_by_source(sources).get(source)
    left = look_at_schedules(connection, settings).left
    with Session(connection, join_transaction_mode="conditional_savepoint") as session:
        for row in session.scalars(due_schedules(Scope(type_name, settings.activity_interval, left))).all():
            if slots := slots_to_create(session, row):
                yield DueSchedule(row.name, row.job, len(slots), slots[0].local_time)
