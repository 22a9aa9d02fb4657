"""How the sections of an instance are: silent for too long, behind, failing (LP-27). Only reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobcron.clock import database_now
from jobcron.database import execute
from jobcron.interfaces import JobStatus
from jobcron.job import Job
from jobcron.schedule import longest_pause
from jobcron.settings import Section, Settings
from jobcron.tables import JobSourceRow, Run

SLACK = timedelta(minutes=15)
"""How much later than its schedule a run may be before its silence is one."""

LEASE_SLACK = timedelta(minutes=10)


class Health(IntEnum):
    """The statuses of monitoring plugins, which are also exit statuses."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Check(NamedTuple):
    """What was found of a section, in words, and how bad it is."""

    health: Health
    text: str


def check_section(connection: Connection, settings: Settings, section: Section) -> list[Check]:
    """Return what is to be said of a section; the times are the database's."""
    now = connection.scalar(select(database_now()))
    assert now is not None
    return [
        _silence(connection, settings, section, now),
        _waiting(connection, section, now),
        _reports(connection, section, now),
        _left_behind(connection, section, now),
    ]


def silence_limits(settings: Settings, section: Section) -> tuple[timedelta, timedelta] | None:
    """Return after what silence to warn, and when it is critical; None: never.

    Runs that find nothing leave a row in each ``activity_interval`` only, so that belongs to what may pass.
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
    if last is None:
        return Check(Health.OK if limits is None else Health.UNKNOWN, "has never run")
    return _judge(now - last, limits, f"last run {_ago(now - last)}")


def _waiting(connection: Connection, section: Section, now: datetime) -> Check:
    due = execute(connection, "oldest_ready", {"source": section.source_interface}).scalar()
    if isinstance(due, str):  # SQLite's times are text, and this statement has no types
        due = datetime.fromisoformat(due).replace(tzinfo=UTC)
    if due is None:
        return Check(Health.OK, "no job is ready")
    limits = section.alert_waiting
    pair = None if limits is None else (timedelta(seconds=limits[0]), timedelta(seconds=limits[1]))
    return _judge(now - due, pair, f"oldest ready job due {_ago(now - due)}")


def _reports(connection: Connection, section: Section, now: datetime) -> Check:
    made = select(func.coalesce(func.sum(Run.oopses), 0)).where(
        Run.name == section.name, Run.date_started > now - timedelta(hours=1)
    )
    count = connection.scalar(made) or 0
    limits = section.alert_reports
    return _judge(count, None if limits is None else (limits[0], limits[1]), f"{count} OOPS reports in an hour")


def _left_behind(connection: Connection, section: Section, now: datetime) -> Check:
    types = select(JobSourceRow.type_id).where(JobSourceRow.name == section.source_interface)
    late = select(func.count()).where(
        Job.type_id.in_(types), Job._status == JobStatus.RUNNING, Job.lease_expires < now - LEASE_SLACK
    )
    count = connection.scalar(late) or 0
    if count:
        return Check(Health.WARNING, f"{count} jobs whose process died have not been taken over")
    return Check(Health.OK, "no job left behind")


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
