"""Schedules that are defined and cannot be stored: their jobs could not be created."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from jobcron.database.tables import ScheduleRow
from jobcron.schedules.definitions import Definition, Problem, defined_by, origins_of, problem_of
from jobcron.schedules.storing import RETIRED_AFTER, differences
from jobcron.settings.settings import Settings


class Unstorable(NamedTuple):
    """A definition that no run stores.

    Attributes:
        definition: the definition.
        problem: why it could create no job.
        has_row: whether there is a row of the schedule, which says something else.
    """

    definition: Definition
    problem: Problem
    has_row: bool

    @property
    def name(self) -> str:
        """The schedule's name."""
        return self.definition.schedule.name

    def describe(self) -> str:
        """Return what is wrong, in words."""
        left = "goes on as it was before its change" if self.has_row else "is not stored and creates no job"
        return f"{left}; its {self.problem.key}: {self.problem.text}"


def unstorable(rows: Sequence[ScheduleRow], now: datetime | None, settings: Settings) -> Iterator[Unstorable]:
    """Yield the definitions of an instance, whose application is imported, that no run stores.

    Args:
        rows: all schedules.
        now: the database's time; None: there are no rows.
        settings: the instance's.

    Raises:
        ConfigurationError: configuration and code have schedules of the same name.
    """
    for row, definition in differences(rows, now, defined_by(settings)).changes:
        problem = problem_of(definition.schedule)
        if problem is not None:
            yield Unstorable(definition, problem, row is not None)


def may_be_unstorable(rows: Sequence[ScheduleRow], now: datetime | None, settings: Settings) -> bool:
    """Return whether a definition may not be stored, as far as that is seen without the application.

    It may be if the configuration defines what no row says, or no run has confirmed a row of the application's
    code for long. A new definition in code that cannot be stored leaves no trace in the database.
    """
    by_name = {name: row for row in rows for name in (row.renamed_from, row.name) if name is not None}
    for schedule in settings.schedules.values():
        row = by_name.get(schedule.name)
        if row is None or any(getattr(row, key) != value for key, value in schedule._asdict().items()):
            return True
    coded = origins_of(settings)[1]
    return now is not None and any(
        row.origin == coded and _is_unconfirmed(row, now, settings.activity_interval) for row in rows
    )


def _is_unconfirmed(row: ScheduleRow, now: datetime, interval: float) -> bool:
    return row.seen_at is None or now - row.seen_at > timedelta(seconds=RETIRED_AFTER * interval)
