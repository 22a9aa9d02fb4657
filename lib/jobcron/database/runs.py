"""Record runs: a row for each run that did something, few for those that found nothing (LP-27)."""

from __future__ import annotations

import socket
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, SQLColumnExpression, case, false, func, select

from jobcron.database.clock import database_after
from jobcron.database.statements import execute
from jobcron.database.tables import Event, Run

SKEW = 60.0
"""By how many seconds the clocks of a database and its standbys may differ."""

REMEMBERED_RUNS = 10
"""How many runs are used to estimate how long a job takes."""


OVERLAPPING_RUNS = 100
"""Among how many of the newest runs that is which ended last: no index has all by their ends."""


class EndedRun(NamedTuple):
    """A run that has just ended.

    Attributes:
        name: the section's name.
        seconds: how long it took.
        completed: how many jobs completed.
        incomplete: how many jobs ran but did not complete.
        oopses: how many reports it made.
        waited: for how many seconds its jobs had been ready when they were claimed, all of them together; None:
            what it did were no jobs.
        ran: how many seconds its jobs took, all of them together; None: likewise.
    """

    name: str
    seconds: float
    completed: int
    incomplete: int
    oopses: int
    waited: float | None
    ran: float | None


def record_run(connection: Connection, run: EndedRun, activity_interval: float) -> None:
    """Write the row of a run.

    A run that found nothing is written only if no row is younger than `activity_interval`.

    Args:
        connection: in a transaction.
        run: the run; it ends now, by the database's clock.
        activity_interval: in seconds.
    """
    parameters = {
        "name": run.name,
        "hostname": socket.gethostname(),
        "minus_seconds": -run.seconds,
        "completed": run.completed,
        "incomplete": run.incomplete,
        "oopses": run.oopses,
        "waited": run.waited,
        "ran": run.ran,
        "always": int(run.completed + run.incomplete > 0),
        "minus_activity_interval": -activity_interval,
    }
    execute(connection, "record_run", parameters)


def is_due(connection: Connection, name: str, activity_interval: float) -> bool:
    """Return whether no run of this name was written within `activity_interval` seconds."""
    parameters = {"name": name, "minus_activity_interval": -activity_interval}
    return execute(connection, "recent_run", parameters).first() is None


def last_end(connection: Connection, name: str) -> datetime | None:
    """Return when the last run of this name ended; None: there is none.

    Runs of several hosts overlap: the one that began last need not be the one that ended last. One whose
    end is still to come was written by a clock that was ahead.
    """
    newest = select(Run.date_completed).where(Run.name == name, Run.date_completed <= database_after(SKEW))
    newest = newest.order_by(Run.date_started.desc())
    ends = connection.scalars(newest.limit(OVERLAPPING_RUNS)).all()
    return max(ends, default=None)


def typical_seconds(connection: Connection, name: str) -> float | None:
    """Return how long a job took in the last runs of this name, in seconds; None if they ran no job."""
    jobs = Run.completed + Run.incomplete
    last = select(Run.date_started, Run.date_completed, jobs).where(Run.name == name, jobs > 0)
    rows = connection.execute(last.order_by(Run.date_started.desc()).limit(REMEMBERED_RUNS)).all()
    if not rows:
        return None
    seconds = sum((completed - started).total_seconds() for started, completed, _ in rows)
    return seconds / sum(count for *_, count in rows)


def first_since(
    connection: Connection,
    table: type[Run] | type[Event],
    moment: SQLColumnExpression[datetime],
    since: datetime,
    most: int,
) -> int:
    """Return from which number on the rows of a table are of a time or later, `most` of the newest at most.

    No index has the times. They grow with the numbers, which are searched by halves: some fifty rows are read,
    however many there are, by one statement.

    Args:
        connection: a connection; it is only read.
        table: the table.
        moment: the column that grows with the numbers.
        since: the time.
        most: how many numbers are looked at.
    """
    newest = select(func.coalesce(func.max(table.id), 0).label("id")).subquery()
    oldest = case((newest.c.id > most, newest.c.id - most + 1), else_=1)
    search = select(oldest.label("low"), (newest.c.id + 1).label("high")).cte("search", recursive=True)
    middle = (search.c.low + search.c.high) // 2
    at = select(moment).where(table.id >= middle).order_by(table.id).limit(1).scalar_subquery()
    is_before = func.coalesce(at < since, false())
    halves = select(
        case((is_before, middle + 1), else_=search.c.low), case((is_before, search.c.high), else_=middle)
    ).where(search.c.low < search.c.high)
    return connection.scalar(select(func.max(search.union_all(halves).c.low))) or 1
