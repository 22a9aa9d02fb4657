"""The health of an instance's sections: silent for too long, behind, or failing (LP-27). Only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, select

from jobcron.database.clock import database_after, database_now
from jobcron.database.runs import first_since, last_end
from jobcron.database.statements import execute
from jobcron.database.tables import Event, JobSourceRow, Run
from jobcron.interfaces import MAX_LEASE_SECONDS, JobStatus
from jobcron.jobs.job import Job, has_status, is_in_open_channel, is_not_paused, lease_end
from jobcron.jobs.moves.pauses import Pause, Scope, current_pauses, pauses_of
from jobcron.queue._running_time import LongestRunning, longest_running
from jobcron.queue.outcome import Failed, UserError
from jobcron.queue.unserved import unserved_types
from jobcron.reports.plurals import counted
from jobcron.settings.cron import longest_pause
from jobcron.settings.settings import Section, Settings

SLACK = timedelta(minutes=15)
"""How much later than its schedule a run may be before its section counts as silent."""

LEASE_SLACK = timedelta(minutes=10)

FAILURES_AGE = timedelta(hours=1)

MAX_NAMED = 10
"""How many jobs a finding names."""

FRUITLESS_RUNS = 2
"""So many runs since a job was due have to have run nothing for a finding."""

MAX_EVENTS = 100_000
"""How many of the newest events are searched for failures: no index covers the time alone."""


class Health(IntEnum):
    """The statuses of monitoring plugins, which are also exit statuses."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @property
    def severity(self) -> int:
        """The place in the order of severity: UNKNOWN is below CRITICAL."""
        return (Health.OK, Health.WARNING, Health.UNKNOWN, Health.CRITICAL).index(self)


def worst_of(healths: Iterable[Health]) -> Health:
    """Return the worst severity of some checks; OK if there are none."""
    return max(healths, key=lambda health: health.severity, default=Health.OK)


class Check(NamedTuple):
    """One finding about a section, in words, with its severity."""

    health: Health
    text: str


def check_section(
    connection: Connection,
    settings: Settings,
    section: Section,
    time_limit_of: Callable[[Section], float | None] = lambda section: None,
) -> list[Check]:
    """Return the findings about a section; all times are the database's.

    Args:
        connection: only read.
        settings: the instance's.
        section: the section.
        time_limit_of: see `longest_running`.
    """
    now = connection.scalar(select(database_now()))
    assert now is not None
    pauses = pauses_of(connection, section.name, [section.source_interface or ""])
    due = _oldest_due(connection, section)
    is_paused = any(found.scope is Scope.SECTION for found in pauses)  # then its jobs are meant to wait
    return [
        check_silence(connection, settings, section, now),
        Check(Health.OK, "its jobs wait") if is_paused else _waiting(connection, section, now, due),
        _failures(connection, section, now),
        Check(Health.OK, "none is taken over") if is_paused else _left_behind(connection, section, now),
        _far_leases(connection, section),
        _longest(longest_running(connection, section, _is_of(section), now, time_limit_of)),
        Check(Health.OK, "none is to run") if is_paused else _progress(connection, section, due),
        *map(_paused, pauses),
    ]


def check_types(connection: Connection, settings: Settings) -> list[Check]:
    """Return a finding for each type of jobs that no section runs."""
    return [Check(Health.WARNING, str(found)) for found in unserved_types(connection, settings)]


def check_pauses(connection: Connection, scope: Scope) -> list[Check]:
    """Return a finding for each queue or channel that is paused: they belong to no section."""
    return [_paused(found) for found in current_pauses(connection, scope)]


def _paused(found: Pause) -> Check:
    """Return the finding that something is paused: a warning if the pause has no end and may be forgotten."""
    return Check(Health.WARNING if found.until is None else Health.OK, str(found))


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


def check_silence(connection: Connection, settings: Settings, section: Section, now: datetime) -> Check:
    """Return the finding about how long ago the last run was, at the database's present time."""
    last = last_end(connection, section.name)
    limits = silence_limits(settings, section)
    text = "has never run" if last is None else f"last run {_ago(now - last)}"
    # A run writes its row at its end, perhaps hours later: a section whose job is running is not silent.
    # why: decisions 2026-11-25, a job that runs is no silence
    if connection.scalar(_running(section).where(lease_end() > now).limit(1)) is not None:
        return Check(Health.OK, f"{text}, a job is running")
    if last is None:
        return Check(Health.OK if limits is None else Health.UNKNOWN, text)
    if limits is not None and section.alert_silence == "auto":
        later = _set_back(last, now)
        limits = limits[0] + later, limits[1] + later
    return _judge(now - last, limits, text)


def _set_back(since: datetime, now: datetime) -> timedelta:
    """Return by how much this machine's clocks, which cron follows, were set back: a night may have 25 hours."""
    before, after = since.astimezone().utcoffset(), now.astimezone().utcoffset()
    assert before is not None
    assert after is not None
    return max(before - after, timedelta())


def check_script(connection: Connection, settings: Settings, name: str) -> list[Check]:
    """Return the finding about a cron script that is no section: how long ago its last successful run was."""
    now = connection.scalar(select(database_now()))
    last = last_end(connection, name)
    seconds = (settings.watch_scripts or {}).get(name)
    if now is None or last is None:
        return [Check(Health.UNKNOWN, "has never run")]
    limits = None if seconds is None else (timedelta(seconds=seconds), timedelta(seconds=2 * seconds))
    return [_judge(now - last, limits, f"last run {_ago(now - last)}")]


def has_run(connection: Connection, name: str) -> bool:
    """Return whether there is a row of a run of this name."""
    return connection.scalar(select(Run.id).where(Run.name == name).limit(1)) is not None


def _oldest_due(connection: Connection, section: Section) -> datetime | None:
    """Return when the oldest ready job of a section was due."""
    due: datetime | str | None = execute(connection, "oldest_ready", {"source": section.source_interface}).scalar()
    # SQLite stores times as text, and this statement has no column types.
    return datetime.fromisoformat(due).replace(tzinfo=UTC) if isinstance(due, str) else due


def _progress(connection: Connection, section: Section, due: datetime | None) -> Check:
    """Return the finding about runs that succeed but run no jobs, while a job has been ready all the time."""
    well = Check(Health.OK, "runs make progress")
    if due is None:
        return well
    # Runs without a job leave a row once in each activity_interval. One may have begun when the job was not due.
    last = select(Run.completed, Run.incomplete).where(Run.name == section.name, Run.date_started > due)
    runs = connection.execute(last.order_by(Run.date_started.desc()).limit(FRUITLESS_RUNS)).all()
    if len(runs) < FRUITLESS_RUNS or any(completed or incomplete for completed, incomplete in runs):
        return well
    decides = select(JobSourceRow.name).where(
        JobSourceRow.name == section.source_interface, JobSourceRow.own_iter_ready
    )
    if connection.scalar(decides) is not None or connection.scalar(_running(section).limit(1)) is not None:
        return well
    return Check(Health.WARNING, f"no progress: the last {len(runs)} runs ran no job, although one is ready")


def _waiting(connection: Connection, section: Section, now: datetime, due: datetime | None) -> Check:
    if due is None:
        return Check(Health.OK, "no job is ready")
    limits = section.alert_waiting
    pair = None if limits is None else (timedelta(seconds=limits[0]), timedelta(seconds=limits[1]))
    return _judge(now - due, pair, f"oldest ready job due {_ago(now - due)}")


def _failures(connection: Connection, section: Section, now: datetime) -> Check:
    """Count failures by the jobs' histories: a long run writes its own row only at its end."""
    since = now - FAILURES_AGE
    failures = (
        select(func.count())
        .select_from(Event)
        .join(Job, Job.id == Event.job_id)
        .where(
            Event.id >= first_since(connection, Event, Event.at, since, MAX_EVENTS),
            Event.at > since,
            Event.kind.in_((Failed.kind, UserError.kind)),
            _is_of(section),
        )
    )
    count = connection.scalar(failures) or 0
    limits = section.alert_failures
    return _judge(
        count, None if limits is None else (limits[0], limits[1]), f"{counted(count, 'failure')} in an hour"
    )


def _left_behind(connection: Connection, section: Section, now: datetime) -> Check:
    is_open = (is_not_paused(), is_in_open_channel())
    late = _running(section).where(lease_end() < now - LEASE_SLACK, *is_open).subquery()
    count = connection.scalar(select(func.count()).select_from(late)) or 0
    if count:
        return Check(Health.WARNING, f"not taken over: {counted(count, 'job')} whose process died")
    return Check(Health.OK, "no job left behind")


def leased_too_far(connection: Connection, sources: Sequence[str | None], seconds: float) -> list[int]:
    """Return the numbers of some running jobs whose leases end later than jobcron's longest lease would.

    A wrong clock, or a statement by hand, has written it. Nobody takes such a job over if its process dies.

    Args:
        sources: the dotted names of the jobs' sources.
        seconds: the longest lease that its jobs are given.
    """
    limit = database_after(seconds + LEASE_SLACK.total_seconds())
    of_sources = Job.type_id.in_(select(JobSourceRow.type_id).where(JobSourceRow.name.in_(sources)))
    far = select(Job.id).where(of_sources, has_status(JobStatus.RUNNING), lease_end() > limit)
    return list(connection.scalars(far.order_by(Job.id).limit(MAX_NAMED)))


def _far_leases(connection: Connection, section: Section) -> Check:
    numbers = leased_too_far(connection, [section.source_interface], MAX_LEASE_SECONDS)
    if not numbers:
        return Check(Health.OK, "no lease is too long")
    return Check(Health.WARNING, f"jobs under a lease that no code gives: {', '.join(map(str, numbers))}")


def _longest(found: LongestRunning | None) -> Check:
    if found is None:
        return Check(Health.OK, "no job is running")
    text = f"job {found.number} has been running for {timedelta(seconds=max(0, round(found.age.total_seconds())))}"
    return _judge(found.age, found.limits, text)


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
