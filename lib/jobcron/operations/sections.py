"""The sections of an instance, their runs, and the types of jobs, as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from jobcron.database.clock import database_now
from jobcron.database.runs import first_since, last_end
from jobcron.database.statements import execute
from jobcron.database.tables import Event, JobSourceRow, JobTypeRow, Run
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.operations.listing import COUNTED, Count, count_jobs
from jobcron.operations.selection import Selection, sources_of
from jobcron.queue.health import FAILURES_AGE, Health, check_section, worst_of
from jobcron.queue.outcome import Failed, UserError
from jobcron.queue.ready_count import count_ready
from jobcron.scripts.locks.lock_holder import cluster_holder, lock_holder
from jobcron.settings.cron import next_start
from jobcron.settings.settings import Section, Settings

PENDING_LIMIT = 10_000
"""The most jobs of a type that are counted."""

LATE_SLACK = timedelta(minutes=2)
"""How much later than its schedule a run may leave its row and is not late yet."""

MAX_EVENTS = 20_000
"""How many of the newest events are searched for failures."""

RUNS = 50
"""How many runs are listed, if nothing else is asked for."""


@dataclass(frozen=True)
class SectionState:
    """A section as it is now.

    Attributes:
        name: the section's name.
        schedule: when it should run, as in the configuration.
        last_run: when its last run ended that left a row.
        next_run: when cron on this host starts its next run, by the schedule; None: that is not known.
        late: how long ago a run should have left a row after the last one; None: none should have, or one goes on.
        lock_holder: the process on this host that holds its lock: a run goes on.
        cluster_holder: the process that holds its lock in the database, and where; None: nobody, or it has none.
        ready: how many of its jobs are ready.
        oldest_ready: how long the oldest of them has been ready; None: there is none.
        running: how many of its jobs are running.
        failed: how many attempts at its jobs failed in the last hour.
        health: the worst finding of `jobcron check-runs`.
        findings: all of them, in words.
        faults: those that are not OK.
    """

    name: str
    schedule: str
    last_run: datetime | None
    next_run: datetime | None
    late: timedelta | None
    lock_holder: str | None
    cluster_holder: str | None
    ready: Count
    oldest_ready: timedelta | None
    running: Count
    failed: int
    health: Health
    findings: tuple[str, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class RunState:
    """A run of a script that has ended.

    Attributes:
        id: its number.
        name: the section, or the name of another script.
        hostname: where it ran.
        date_started: when it began.
        date_completed: when it ended.
        completed: how many jobs completed.
        incomplete: how many jobs ran and did not complete.
        oopses: how many reports it made.
    """

    id: int
    name: str
    hostname: str
    date_started: datetime
    date_completed: datetime
    completed: int
    incomplete: int
    oopses: int


@dataclass(frozen=True)
class TypeState:
    """A job type that the database knows.

    Attributes:
        name: such as ``foo_job.ACT``.
        sources: the dotted names of the sources that return its jobs.
        sections: the sections that name one of these.
        pending: how many of its jobs have not ended.
    """

    name: str
    sources: tuple[str, ...]
    sections: tuple[str, ...]
    pending: Count


def section_states(connection: Connection, settings: Settings) -> list[SectionState]:
    """Return the state of each section, in the order of the configuration; only reads."""
    failed = _failures(connection)
    return [_section_state(connection, settings, section, failed) for section in settings.sections.values()]


def section_state(connection: Connection, settings: Settings, section: Section) -> SectionState:
    """Return the state of one section; only reads."""
    return _section_state(connection, settings, section, _failures(connection))


def _section_state(
    connection: Connection, settings: Settings, section: Section, failed: dict[str, int]
) -> SectionState:
    sources = sources_of(settings, section)
    ready, oldest = ready_jobs(connection, sources)
    checks = check_section(connection, settings, section)
    running = count_jobs(connection, Selection(sources=sources, statuses=(JobStatus.RUNNING,)))
    last, now = last_end(connection, section.name), connection.scalar(select(database_now()))
    assert now is not None
    holder = lock_holder(settings.lock_dir, section.name)
    everywhere = cluster_holder(connection, section.name) if section.is_alone_everywhere else None
    goes_on = holder is not None or running.number > 0 or (everywhere is not None and everywhere.seconds_left > 0)
    return SectionState(
        name=section.name,
        schedule=section.schedule,
        last_run=last,
        next_run=next_start(section.schedule, now),
        late=None if last is None or goes_on else _late(settings, section, last, now),
        lock_holder=None if holder is None else str(holder),
        cluster_holder=None if everywhere is None else str(everywhere),
        ready=ready,
        oldest_ready=oldest,
        running=running,
        failed=max(failed.get(source, 0) for source in sources),
        health=worst_of(check.health for check in checks),
        findings=tuple(check.text for check in checks),
        faults=tuple(check.text for check in checks if check.health is not Health.OK),
    )


def ready_jobs(connection: Connection, sources: tuple[str, ...]) -> tuple[Count, timedelta | None]:
    """Return how many jobs of a section are ready, `COUNTED` at most, and how long the oldest has been.

    Args:
        connection: in a transaction.
        sources: the names by which the database may know the section's source.
    """
    counted = (count_ready(connection, source, COUNTED + 1) for source in sources)
    found = max(counted, key=lambda ready: ready.count)
    count = Count(min(found.count, COUNTED), is_exact=found.count <= COUNTED)
    return count, timedelta(seconds=round(found.oldest_seconds)) if found.count else None


def _late(settings: Settings, section: Section, last: datetime, now: datetime) -> timedelta | None:
    """Return how long ago a run should have left a row, if it is longer than a run may take to begin and to end.

    Runs that find nothing leave a row only once in an ``activity_interval``.
    """
    expected = next_start(section.schedule, last + timedelta(seconds=settings.activity_interval))
    if expected is None or now - expected < LATE_SLACK:
        return None
    return timedelta(seconds=round((now - expected).total_seconds()))


def _failures(connection: Connection) -> dict[str, int]:
    """Return how many attempts failed in the last hour, by source, among the newest events."""
    now = connection.scalar(select(database_now()))
    assert now is not None
    since = now - FAILURES_AGE
    counted = (
        select(JobSourceRow.name, func.count().label("failed"))
        .select_from(Event)
        .join(Job, Job.id == Event.job_id)
        .join(JobSourceRow, JobSourceRow.type_id == Job.type_id)
        .where(
            Event.id >= first_since(connection, Event, Event.at, since, MAX_EVENTS),
            Event.at > since,
            Event.kind.in_((Failed.kind, UserError.kind)),
        )
        .group_by(JobSourceRow.name)
    )
    return {row.name: row.failed for row in connection.execute(counted)}


def recent_runs(
    connection: Connection, name: str | None = None, *, below: int | None = None, limit: int = RUNS
) -> list[RunState]:
    """Return runs, the newest first.

    Args:
        connection: a connection; it is only read.
        name: of this section or script only.
        below: only runs with smaller numbers.
        limit: the most runs.
    """
    columns = (
        Run.id,
        Run.name,
        Run.hostname,
        Run.date_started,
        Run.date_completed,
        Run.completed,
        Run.incomplete,
        Run.oopses,
    )
    query = select(*columns).limit(limit)
    if name is not None:  # by the index, which has the start
        query = query.where(Run.name == name).order_by(Run.date_started.desc())
    else:
        query = query.order_by(Run.id.desc())
    if below is not None:
        query = query.where(Run.id < below)
    return [RunState(*row) for row in connection.execute(query)]


def type_states(connection: Connection, settings: Settings) -> list[TypeState]:
    """Return the job types that the database knows, in name order; only reads."""
    sources: dict[int, list[str]] = {}
    for number, name in connection.execute(
        select(JobSourceRow.type_id, JobSourceRow.name).order_by(JobSourceRow.name)
    ):
        sources.setdefault(number, []).append(name)
    states = []
    of_section = {name: sources_of(settings, section) for name, section in settings.sections.items()}
    for number, name in connection.execute(select(JobTypeRow.id, JobTypeRow.name).order_by(JobTypeRow.name)).all():
        names = sources.get(number, [])
        sections = [section for section, own in of_section.items() if not set(own).isdisjoint(names)]
        pending = execute(connection, "count_pending", {"type": number, "limit": PENDING_LIMIT}).scalar_one()
        count = Count(pending, is_exact=pending < PENDING_LIMIT)
        states.append(TypeState(name, tuple(names), tuple(sections), count))
    return states
