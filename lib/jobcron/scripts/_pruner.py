"""Delete old data: finished jobs, their events, the rows of runs (LP-31).

Tables are walked in windows (see `jobcron.database.walk`). A walk ends where rows are too young. Each window
is a short transaction, so that claims do not wait for it; the next run finishes an interrupted walk.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Text, case, delete, func, null, select, type_coerce
from sqlalchemy.exc import IntegrityError

from jobcron.database.clock import age_in_seconds
from jobcron.database.database import Database
from jobcron.database.tables import Event, JobSourceRow, JobTypeRow, Run
from jobcron.database.walk import windows
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.jobs.status import ENDED
from jobcron.settings.settings import Section, Settings


class Keep(NamedTuple):
    """How many seconds jobs of a type are kept after their end; None: for ever."""

    completed: float | None
    failed: float | None
    cancelled: float | None
    functions: dict[str, float | None]

    def of(self, status: JobStatus, function: str | None = None) -> float | None:
        """Return how long jobs with this status are kept, or jobs of a function with its own time (OCQ-12)."""
        if function is not None and function in self.functions:
            return self.functions[function]
        match status:
            case JobStatus.COMPLETED:
                return self.completed
            case JobStatus.FAILED:
                return self.failed
            case _:
                return self.cancelled


class Pruner:
    """Deletes old rows.

    Args:
        database: the database of the rows.
        settings: give the time to keep each kind of row.
        logger: logs the deletions.
        dry_run: only count.
        is_stopping: called between windows.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        logger: logging.Logger,
        dry_run: bool = False,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._settings = settings
        self._logger = logger
        self._dry_run = dry_run
        self._is_stopping = is_stopping
        with database.begin(writing=False) as connection:
            self._keep = {number: (name, self._keep_of(connection, number)) for number, name in _types(connection)}

    def prune(self) -> None:
        """Delete everything old."""
        self.prune_jobs()
        settings = self._settings
        if settings.keep_events is not None:
            self._prune_by_time(Event, Event.at, settings.keep_events, frozenset(), "events")
        if settings.keep_runs is not None:
            self._prune_by_time(Run, Run.date_started, settings.keep_runs, self._latest_runs(), "rows of runs")

    def _latest_runs(self) -> frozenset[int]:
        """Return the numbers of the rows that record each section's last run: they stay."""
        with self._database.begin(writing=False) as connection:
            return frozenset(connection.scalars(select(func.max(Run.id)).group_by(Run.name)))

    def prune_jobs(self) -> None:
        """Delete finished jobs by type, status and age, together with their events and family rows."""
        keeps = [keep for _, keep in self._keep.values()]
        times = [keep.of(status) for keep in keeps for status in ENDED]
        own = [seconds for keep in keeps for seconds in keep.functions.values()]
        known = [seconds for seconds in (*times, *own) if seconds is not None]
        if not known:
            return
        function = self._function() if own else null()
        youngest = min(known)
        removed: Counter[tuple[str, JobStatus]] = Counter()
        stuck = 0
        columns = (
            Job.id,
            Job.type_id.label("type"),
            Job._status.label("status"),
            age_in_seconds(Job.date_created).label("age"),
            age_in_seconds(Job.date_finished).label("ended"),
            function.label("function"),
        )
        for rows in self._windows(Job, columns, lambda row: _is_older(row.age, youngest)):
            old = {row.id: (self._keep[row.type][0], row.status) for row in rows if self._is_old(row)}
            gone = self._remove_jobs(list(old))
            removed.update(old[number] for number in gone)
            stuck += len(old) - len(gone)
        for (name, status), count in sorted(removed.items()):
            self._tell(count, f"{status.name} jobs of {name}")
        if stuck:
            self._logger.info(
                "%s old jobs stay: somebody has them locked, or rows of the application need them.", stuck
            )

    def _function(self) -> ColumnElement[str | None]:
        """Return the function that a job calls, if any."""
        name: ColumnElement[str | None] = Job.json_data["function"].as_string()
        if self._database.dialect == "postgresql":
            return name
        # A single row that somebody wrote wrongly by hand must not block the rest.
        return case((func.json_valid(type_coerce(Job.json_data, Text)), name))

    def _is_old(self, row: Any) -> bool:
        if row.status not in ENDED or row.type not in self._keep:
            return False
        seconds = self._keep[row.type][1].of(row.status, row.function)
        return seconds is not None and _is_older(row.ended, seconds)

    def _remove_jobs(self, numbers: list[int]) -> list[int]:
        """Delete jobs that are still ended and not locked; return those deleted."""
        if self._dry_run or not numbers:
            return numbers
        try:
            with self._database.begin() as connection:
                return self._delete(connection, numbers)
        except IntegrityError:  # a row of the application refers to one of the jobs: find out which
            gone = []
            for number in numbers:
                try:
                    with self._database.begin() as connection:
                        gone += self._delete(connection, [number])
                except IntegrityError as error:
                    self._logger.debug("Job %s stays: %s", number, error.orig)
            return gone

    @staticmethod
    def _delete(connection: Connection, numbers: list[int]) -> list[int]:
        # SKIP LOCKED, which SQLite does not need: somebody may be requeueing one of them.
        free = select(Job.id).where(Job.id.in_(numbers), Job._status.in_(ENDED)).with_for_update(skip_locked=True)
        found = list(connection.scalars(free))
        connection.execute(delete(Job).where(Job.id.in_(found), Job._status.in_(ENDED)))
        return found

    def _prune_by_time(self, table: Any, moment: Any, seconds: float, kept: frozenset[int], what: str) -> None:
        count = 0
        columns = (table.id, age_in_seconds(moment).label("age"))
        for rows in self._windows(table, columns, lambda row: _is_older(row.age, seconds)):
            old = [row.id for row in rows if _is_older(row.age, seconds) and row.id not in kept]
            if self._dry_run:
                count += len(old)
            elif old:
                with self._database.begin() as connection:
                    count += connection.execute(delete(table).where(table.id.in_(old))).rowcount
        if count:
            self._tell(count, what)

    def _windows(self, table: Any, columns: Any, is_old: Callable[[Any], bool]) -> Iterator[list[Any]]:
        return windows(self._database, table, columns, is_old, self._is_stopping)

    def _keep_of(self, connection: Connection, number: int) -> Keep:
        """Return how long jobs of a type are kept: as its section says, or else the instance."""
        section = self._section_of(connection, number)

        def seconds(key: str) -> float | None:
            own: float | None = getattr(section, key) if section else None
            instances: float | None = getattr(self._settings, key)
            return instances if own is None else own

        functions = section.keep_functions if section else None
        return Keep(seconds("keep_completed"), seconds("keep_failed"), seconds("keep_cancelled"), functions or {})

    def _section_of(self, connection: Connection, number: int) -> Section | None:
        names = set(connection.scalars(select(JobSourceRow.name).where(JobSourceRow.type_id == number)))
        return next((s for s in self._settings.sections.values() if s.source_interface in names), None)

    def _tell(self, count: int, what: str) -> None:
        self._logger.info("%s %s %s.", "Would remove" if self._dry_run else "Removed", count, what)


def _is_older(age: float | None, seconds: float) -> bool:
    """Return whether an age exceeds a limit in seconds; an unreadable age does not."""
    return age is not None and age > seconds


def _types(connection: Connection) -> list[tuple[int, str]]:
    return [(row.id, row.name) for row in connection.execute(select(JobTypeRow.id, JobTypeRow.name))]


def reports_named_by_jobs(database: Database) -> set[str]:
    """Return the ids of all reports that job rows name."""
    with closing(database.session(writing=False)) as session:
        return set(session.scalars(select(Job.oops_id).where(Job.oops_id.is_not(None))))
