"""The health of an instance's sections: silent for too long, behind, or failing (LP-27). Only reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, select

from jobcron.database.clock import database_now
from jobcron.database.statements import execute
from jobcron.database.tables import Event, JobSourceRow, Run
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, has_status
from jobcron.queue.outcome import Failed, UserError
from jobcron.settings.cron_schedule import longest_pause
from jobcron.settings.settings import Section, Settings

SLACK = timedelta(minutes=15)
"""How much later than its schedule a run may be before its section counts as silent."""

LEASE_SLACK = timedelta(minutes=10)

FAILURES_AGE = timedelta(hours=1)

MAX_EVENTS = 100_000
"""How many of the newest events are searched for failures: no index covers the time alone."""


class Health(IntEnum):
    """The statuses of monitoring plugins, which are also exit statuses."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Check(NamedTuple):
    """One finding about a section, in words, with its severity."""

    health: Health
    text: str


def check_section(connection: Connection, settings: Settings, section: Section) -> list[Check]:
    """Return the findings about a section; all times are the database's."""
    now = connection.scalar(select(database_now()))
    assert now is not None
    return [
        _silence(connection, settings, section, now),
        _waiting(connection, section, now),
        _failures(connection, section, now),
        _left_behind(connection, section, now),
    ]


def silence_limits(settings: Settings, section: Section) -> tuple[timedelta, timedelta] | None:
    """Return how long a silence causes a warning, and how long it is critical; None: never.

    Runs that find nothing leave only one row in each ``activity_interval``, so that interval is added.
    """
    limits = section.alert_silence
    if isinstance(limits, list):
        return timedelta(seconds=limits[0]), timedelta(seconds=limits[1])
    pause = longest_pause(section.schedule) if limits == "auto" else None
    if pause is None:
        return None
    expected = pause + timedelta(seconds=settings.activity_interval) + SLACK
    return expected, expected + pause + SLACK


def _silence(connection: Connection, settings: Settings, section: Section, now: datetime) -> Check:
    last = connection.scalar(select(func.max(Run.date_completed)).where(Run.name == section.name))
    limits = silence_limits(settings, section)
    text = "has never run" if last is None else f"last run {_ago(now - last)}"
    # A run writes its row at its end, perhaps hours later: a section whose job is running is not silent.
    # why: decisions 2026-11-25, a job that runs is no silence
    if connection.scalar(_running(section).where(Job.lease_expires > now).limit(1)) is not None:
        return Check(Health.OK, f"{text}, a job is running")
    if last is None:
        return Check(Health.OK if limits is None else Health.UNKNOWN, text)
    return _judge(now - last, limits, text)


def _waiting(connection: Connection, section: Section, now: datetime) -> Check:
    due = execute(connection, "oldest_ready", {"source": section.source_interface}).scalar()
    if isinstance(due, str):  # SQLite stores times as text, and this statement has no column types
        due = datetime.fromisoformat(due).replace(tzinfo=UTC)
    if due is None:
        return Check(Health.OK, "no job is ready")
    limits = section.alert_waiting
    pair = None if limits is None else (timedelta(seconds=limits[0]), timedelta(seconds=limits[1]))
    return _judge(now - due, pair, f"oldest ready job due {_ago(now - due)}")


def _failures(connection: Connection, section: Section, now: datetime) -> Check:
    """Count failures by the jobs' histories: a long run writes its own row only at its end."""
    newest = select(Event.job_id, Event.kind, Event.at).order_by(Event.id.desc()).limit(MAX_EVENTS).subquery()
    failures = (
        select(func.count())
        .select_from(newest)
        .join(Job, Job.id == newest.c.job_id)
        .where(
            newest.c.at > now - FAILURES_AGE,
            newest.c.kind.in_((Failed.kind, UserError.kind)),
            _is_of(section),
        )
    )
    count = connection.scalar(failures) or 0
    limits = section.alert_failures
    return _judge(count, None if limits is None else (limits[0], limits[1]), f"{count} failures in an hour")


def _left_behind(connection: Connection, section: Section, now: datetime) -> Check:
    late = _running(section).where(Job.lease_expires < now - LEASE_SLACK).subquery()
    count = connection.scalar(select(func.count()).select_from(late)) or 0
    if count:
        return Check(Health.WARNING, f"{count} jobs whose process died have not been taken over")
    return Check(Health.OK, "no job left behind")


def _running(section: Section) -> Select[int]:
    return select(Job.id).where(_is_of(section), has_status(JobStatus.RUNNING))


def _is_of(section: Section) -> ColumnElement[bool]:
    """Return the condition that a job belongs to the section."""
    return Job.type_id.in_(select(JobSourceRow.type_id).where(JobSourceRow.name == section.source_interface))


def _judge(value: timedelta | int, limits: tuple[timedelta | int, timedelta | int] | None, text: str) -> Check:
    if limits is None:
        return Check(Health.OK, text)
    warning, critical = limits
    if value >= critical:  # type: ignore[operator]
        return Check(Health.CRITICAL, f"{text}, critical from {critical} on")
    if value >= warning:  # type: ignore[operator]
        return Check(Health.WARNING, f"{text}, warning from {warning} on")
    return Check(Health.OK, text)


def _ago(age: timedelta) -> str:
    return f"{timedelta(seconds=max(0, round(age.total_seconds())))} ago"
