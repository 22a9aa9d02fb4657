"""What runs have done over a span of time, in equal parts: how many jobs, how long they waited and took, failures.

It is made of the rows of runs and of events, which the database adds up: rows of jobs are many, and are pruned.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    SQLColumnExpression,
    case,
    cast,
    extract,
    func,
    select,
)

from jobcron.database.clock import database_now
from jobcron.database.runs import first_since
from jobcron.database.tables import Event, Run
from jobcron.jobs.history import EventKind
from jobcron.jobs.job import Job
from jobcron.operations.selection import Selection, chosen_types

RUNS = 30_000
"""The most runs that are added up."""

EVENTS = 30_000
"""The most events that are added up."""

EVENTS_OF_SECTION = 10_000
"""The most for one section: each has to be looked up with its job."""

FAILURES = (EventKind.FAILED, EventKind.USER_ERROR, EventKind.RETRY)
"""Attempts that failed: for good, by a user's mistake, and to be tried again."""


@dataclass(frozen=True)
class Part:
    """What became of jobs in a part of a span.

    Attributes:
        start: when the part begins.
        completed: how many jobs completed.
        incomplete: how many jobs ran and did not complete.
        oopses: how many reports were made.
        timed: of how many jobs it is known how long they waited and took: not of runs by an older release.
        waited: for how many seconds these had been ready when they were claimed, all of them together.
        ran: how many seconds they took, all of them together.
        failures: how many attempts failed, by each of `FAILURES`.
    """

    start: datetime
    completed: int = 0
    incomplete: int = 0
    oopses: int = 0
    timed: int = 0
    waited: float = 0.0
    ran: float = 0.0
    failures: tuple[int, ...] = (0,) * len(FAILURES)


@dataclass(frozen=True)
class Trends:
    """What became of jobs in a span.

    Attributes:
        parts: of equal length, the oldest first.
        is_complete: whether all runs and events of the span were added up, and not only the newest.
    """

    parts: tuple[Part, ...]
    is_complete: bool


class _Span(NamedTuple):
    start: datetime
    step: timedelta
    parts: int


def trends(
    connection: Connection, length: timedelta, count: int, sections: Collection[str], sources: tuple[str, ...] = ()
) -> Trends:
    """Return what became of jobs in the last so much time, in `count` parts.

    Args:
        connection: a connection; it is only read.
        length: how long the span is.
        count: into how many parts it is divided.
        sections: the runs of these sections. Other scripts leave rows as well, and have no jobs.
        sources: failures of jobs of these sources only; none: of all jobs.
    """
    now = connection.scalar(select(database_now()))
    assert now is not None
    span = _Span(now - length, length / count, count)
    parts, is_complete = _runs(connection, span, sections)
    failures, has_all = _failures(connection, span, sources)
    found = (replace(part, failures=counts) for part, counts in zip(parts, failures, strict=True))
    return Trends(tuple(found), is_complete and has_all)


def _runs(connection: Connection, span: _Span, sections: Collection[str]) -> tuple[list[Part], bool]:
    """Return the parts without failures, and whether they are of all runs."""
    first = first_since(connection, Run, Run.date_completed, span.start, RUNS)
    place, jobs = _place(Run.date_completed, span, connection.dialect.name), Run.completed + Run.incomplete
    counts = (Run.completed, Run.incomplete, Run.oopses, case((Run.ran.is_not(None), jobs), else_=0))
    sums = [func.coalesce(func.sum(value), 0) for value in (*counts, Run.waited, Run.ran)]
    query = select(place, *sums).where(Run.id >= first, Run.date_completed >= span.start, Run.name.in_(sections))
    parts = [Part(span.start + span.step * number) for number in range(span.parts)]
    for number, completed, incomplete, oopses, timed, waited, ran in connection.execute(query.group_by("place")):
        start = parts[number].start
        parts[number] = Part(start, completed, incomplete, oopses, timed, waited, ran)
    return parts, not _is_cut(connection, Run, Run.date_completed, first, span)


def _failures(connection: Connection, span: _Span, sources: tuple[str, ...]) -> tuple[list[tuple[int, ...]], bool]:
    """Return how many attempts failed in each part, by each of `FAILURES`, and whether these are all."""
    most = EVENTS_OF_SECTION if sources else EVENTS
    first = first_since(connection, Event, Event.at, span.start, most)
    place = _place(Event.at, span, connection.dialect.name)
    query = select(place, Event.kind, func.count()).where(
        Event.id >= first, Event.at >= span.start, Event.kind.in_([str(kind.value) for kind in FAILURES])
    )
    if sources:
        types = chosen_types(connection, Selection(sources=sources)).ids or ()
        query = query.join(Job, Job.id == Event.job_id).where(Job.type_id.in_(types))
    found = {(row[0], row[1]): row[2] for row in connection.execute(query.group_by("place", Event.kind))}
    counts = [tuple(found.get((number, kind.value), 0) for kind in FAILURES) for number in range(span.parts)]
    return counts, not _is_cut(connection, Event, Event.at, first, span)


def _place(moment: SQLColumnExpression[datetime], span: _Span, dialect: str) -> ColumnElement[int]:
    """Return in which part a time is that is not before the span, as an SQL expression called ``place``."""
    last, step = span.parts - 1, span.step.total_seconds()
    if dialect == "postgresql":
        place = func.least(cast(func.floor(extract("epoch", moment - span.start) / step), Integer), last)
    else:  # a number of days, as of julianday: it would be calculated again for each row
        midnight = datetime(span.start.year, span.start.month, span.start.day, tzinfo=UTC)
        start = span.start.toordinal() + 1721424.5 + (span.start - midnight) / timedelta(days=1)
        place = func.min(cast((func.julianday(moment) - start) * (86400.0 / step), Integer), last)
    return place.label("place")


def _is_cut(
    connection: Connection,
    table: type[Run] | type[Event],
    moment: SQLColumnExpression[datetime],
    first: int,
    span: _Span,
) -> bool:
    """Return whether older rows than the first one that was looked at are of the span."""
    before = select(moment).where(table.id < first).order_by(table.id.desc()).limit(1)
    newest = connection.scalar(before)
    return newest is not None and newest >= span.start
