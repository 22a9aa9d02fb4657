"""Delete old data: finished jobs, their events, the rows of runs (LP-31).

Tables are walked in windows (see `jobcron.database.walk`). A walk ends where rows are too young. Each window
is a short transaction, so that claims do not wait for it; the next run finishes an interrupted walk.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    SQLColumnExpression,
    Text,
    case,
    delete,
    exists,
    func,
    null,
    select,
    type_coerce,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, aliased

from jobcron.database.clock import age_in_seconds, database_after, database_now
from jobcron.database.database import Database
from jobcron.database.statements import among
from jobcron.database.tables import ActRow, Event, JobSourceRow, JobTypeRow, Renewal, Run, SlotRow, WorkerRow
from jobcron.database.walk import WalkedRow, windows
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.moves.edges import is_waited_for
from jobcron.jobs.status import ENDED
from jobcron.reports.plurals import counted
from jobcron.scripts._pruning.newest import Newest
from jobcron.settings.settings import Section, Settings

SLOTS = 1000
"""How many slots are deleted in a transaction."""

DEAD_SECONDS = 86400.0
"""For how long a worker's row says that it fell silent, if no other worker removes it."""


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

    Attributes:
        removed: how many rows were deleted, or would be.
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
        self.removed = 0
        with database.begin(writing=False) as connection:
            types = dict(_types(connection))
            sections = {number: self._section_of(connection, number) for number in types}
        self._keep = {number: (name, self._keep_of(sections[number])) for number, name in types.items()}
        having = {number for number, section in sections.items() if section and section.keep_newest_of_target}
        self._newest = self._newest_of({number: types[number] for number in having}) if having else None

    def _newest_of(self, types: dict[int, str]) -> Newest:
        from jobcron.runner.application import load_application

        load_application(self._settings)  # only classes know where a family has the target
        return Newest(types)

    def prune(self) -> None:
        """Delete everything old."""
        self.prune_jobs()
        self._prune_renewals()
        self._prune_workers()
        settings = self._settings
        if settings.keep_events is not None:
            self._prune_by_time(Event.id, Event.at, settings.keep_events, frozenset(), "event")
            self._prune_by_time(ActRow.id, ActRow.at, settings.keep_events, frozenset(), "act")
        if settings.keep_runs is not None:
            self._prune_by_time(
                Run.id, Run.date_started, settings.keep_runs, self._latest_runs(), "row", "of runs"
            )
            self._prune_slots(settings.keep_runs)

    def _prune_slots(self, seconds: float) -> None:
        """Delete the slots that are older than a time in seconds, but for the last one of each schedule."""
        newer = aliased(SlotRow)
        is_last = ~exists().where(newer.schedule_id == SlotRow.schedule_id, newer.due_at > SlotRow.due_at)
        is_old = (SlotRow.due_at < database_after(-seconds), ~is_last)
        count = 0
        if self._dry_run:
            with self._database.begin(writing=False) as connection:
                count = connection.scalar(select(func.count()).select_from(SlotRow).where(*is_old)) or 0
        else:
            times = select(SlotRow.due_at).where(*is_old).order_by(SlotRow.due_at).limit(SLOTS).scalar_subquery()
            while not self._is_stopping():
                with self._database.begin() as connection:
                    gone = connection.execute(delete(SlotRow).where(SlotRow.due_at.in_(times), *is_old)).rowcount
                count += gone
                if not gone:
                    break
        if count:
            self._tell(count, "slot", "of schedules")

    def _prune_renewals(self) -> None:
        """Delete the renewals that dead processes left: their jobs run under another token, or not at all."""
        is_held = exists().where(
            Job.id == Renewal.job_id, Job.lease_token == Renewal.lease_token, has_status(JobStatus.RUNNING)
        )
        if not self._dry_run:
            with self._database.begin() as connection:
                connection.execute(delete(Renewal).where(Renewal.lease_expires < database_now(), ~is_held))

    def _prune_workers(self) -> None:
        """Delete the rows of workers that died, where no other one has done so."""
        if not self._dry_run:
            with self._database.begin() as connection:
                connection.execute(delete(WorkerRow).where(WorkerRow.silent_after < database_after(-DEAD_SECONDS)))

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
            Job.type_id.label("type"),
            Job._status.label("status"),
            age_in_seconds(Job.date_created).label("age"),
            age_in_seconds(Job.date_finished).label("ended"),
            function.label("function"),
        )
        for rows in self._windows(Job.id, columns, lambda row: _is_older(row.age, youngest)):
            old = {row.id: (self._keep[row.type][0], row.status) for row in rows if self._is_old(row)}
            if self._newest is not None:
                types = {row.id: row.type for row in rows if row.id in old}
                for number in self._newest.among(self._database, types):
                    del old[number]
            gone = self._remove_jobs(list(old))
            removed.update(old[number] for number in gone)
            stuck += len(old) - len(gone)
        for (name, status), count in sorted(removed.items()):
            self._tell(count, f"{status.name} job", f"of {name}")
        if stuck:
            needed = "rows of the application or other jobs need them"
            stay = f"{counted(stuck, 'old job')} {'stays' if stuck == 1 else 'stay'}"
            self._logger.info("%s: somebody has locked what it would delete, or %s.", stay, needed)

    def _function(self) -> ColumnElement[str | None]:
        """Return the function that a job calls, if any."""
        name: ColumnElement[str | None] = Job.json_data["function"].as_string()
        if self._database.dialect == "postgresql":
            return name
        # A single row that somebody wrote wrongly by hand must not block the rest.
        return case((func.json_valid(type_coerce(Job.json_data, Text)), name))

    def _is_old(self, row: WalkedRow) -> bool:
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
        is_old = (among(Job.id, numbers), Job._status.in_(ENDED), ~is_waited_for())
        found = list(connection.scalars(select(Job.id).where(*is_old).with_for_update(skip_locked=True, of=Job)))
        connection.execute(delete(Job).where(among(Job.id, found), Job._status.in_(ENDED)))
        return found

    def _prune_by_time(
        self,
        number: InstrumentedAttribute[int],
        moment: InstrumentedAttribute[datetime],
        seconds: float,
        kept: frozenset[int],
        noun: str,
        of_what: str = "",
    ) -> None:
        count = 0
        age = age_in_seconds(moment).label("age")
        for rows in self._windows(number, [age], lambda row: _is_older(row.age, seconds)):
            old = [row.id for row in rows if _is_older(row.age, seconds) and row.id not in kept]
            if self._dry_run:
                count += len(old)
            elif old:
                with self._database.begin() as connection:
                    count += connection.execute(delete(number.class_).where(number.in_(old))).rowcount
        if count:
            self._tell(count, noun, of_what)

    def _windows(
        self,
        number: InstrumentedAttribute[int],
        columns: Sequence[SQLColumnExpression[object]],
        is_old: Callable[[WalkedRow], bool],
    ) -> Iterator[list[WalkedRow]]:
        return windows(self._database, number, columns, is_old, self._is_stopping)

    def _keep_of(self, section: Section | None) -> Keep:
        """Return how long jobs of a type are kept: as its section says, or else the instance."""
        place = section or self._settings
        functions = section.keep_functions if section else None
        return Keep(place.keep_completed, place.keep_failed, place.keep_cancelled, functions or {})

    def _section_of(self, connection: Connection, number: int) -> Section | None:
        names = set(connection.scalars(select(JobSourceRow.name).where(JobSourceRow.type_id == number)))
        return next((s for s in self._settings.sections.values() if s.source_interface in names), None)

    def _tell(self, count: int, noun: str, of_what: str = "") -> None:
        self.removed += count
        did = "Would remove" if self._dry_run else "Removed"
        self._logger.info("%s.", " ".join(filter(None, (did, counted(count, noun), of_what))))


def _is_older(age: float | None, seconds: float) -> bool:
    """Return whether an age exceeds a limit in seconds; an unreadable age does not."""
    return age is not None and age > seconds


def _types(connection: Connection) -> list[tuple[int, str]]:
    return [(row.id, row.name) for row in connection.execute(select(JobTypeRow.id, JobTypeRow.name))]


def reports_named_by_jobs(database: Database) -> set[str]:
    """Return the ids of all reports that job rows name."""
    with closing(database.session(writing=False)) as session:
        return set(session.scalars(select(Job.oops_id).where(Job.oops_id.is_not(None))))
