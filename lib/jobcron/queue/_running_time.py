"""Find out how long a section's jobs have been running: the lease of a job that hangs is renewed for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from jobcron.database.runs import typical_seconds
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, has_status
from jobcron.settings.settings import Section

LEAST = timedelta(hours=1)
"""A job that has run for less causes no warning by default."""

TIMES_USUAL = 10
"""How many times longer than usual a job may run before it causes a warning by default."""

TIMES_LIMIT = 1.5
"""How many times its ``time_limit`` a job may run before it causes a warning: with its clean-up, and its end."""

TIMES_CRITICAL = 3
"""How many times longer than for a warning is critical by default."""


class LongestRunning(NamedTuple):
    """The job of a section that has been running longest.

    Attributes:
        number: the job's number.
        age: for how long.
        limits: from when on that causes a warning, and from when on it is critical; None: never.
    """

    number: int
    age: timedelta
    limits: tuple[timedelta, timedelta] | None


def longest_running(
    connection: Connection,
    section: Section,
    is_of: ColumnElement[bool],
    now: datetime,
    time_limit_of: Callable[[Section], float | None],
) -> LongestRunning | None:
    """Return the job of a section that has been running longest, or None if none is running.

    Args:
        connection: only read.
        section: the section.
        is_of: the condition that a job belongs to the section.
        now: the database's time.
        time_limit_of: returns the time limit of a section's class in seconds, or None; only called if it matters,
            because it may have to import the application.
    """
    running = select(Job.id, Job.date_started).where(is_of, has_status(JobStatus.RUNNING))
    row = connection.execute(running.where(Job.date_started.is_not(None)).order_by(Job.date_started)).first()
    if row is None or row.date_started is None:
        return None
    age = now - row.date_started
    limits: tuple[timedelta, timedelta] | None = None
    if isinstance(section.alert_running, list):
        limits = timedelta(seconds=section.alert_running[0]), timedelta(seconds=section.alert_running[1])
    elif section.alert_running == "auto":
        limits = _by_default(connection, section, age, time_limit_of)
    return LongestRunning(row.id, age, limits)


def _by_default(
    connection: Connection, section: Section, age: timedelta, time_limit_of: Callable[[Section], float | None]
) -> tuple[timedelta, timedelta]:
    """Return the limits that follow from earlier runs, or from the time limit of the class."""
    usual = (typical_seconds(connection, section.name) or 0.0) * section.max_workers
    warning = max(LEAST, timedelta(seconds=usual * TIMES_USUAL))
    if age >= warning and (limit := time_limit_of(section)) is not None:
        warning = max(LEAST, timedelta(seconds=limit * TIMES_LIMIT))
    return warning, warning * TIMES_CRITICAL
