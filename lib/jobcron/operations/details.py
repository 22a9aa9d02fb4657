"""Everything about one job: its row, its history, and what its class says about it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from sqlalchemy import Connection, func, select, union_all
from sqlalchemy import inspect as object_state
from sqlalchemy.orm import Session, object_mapper

from jobcron.database.tables import Event, JobTypeRow, jobs_connection
from jobcron.errors import ConfigurationError, NoSuchJob
from jobcron.functions.calls import FunctionJob
from jobcron.interfaces import JobStatus
from jobcron.jobs.family import OF_EVERY_ROW
from jobcron.jobs.graphs.reading import Neighbour, predecessors_of, successors_of
from jobcron.jobs.history import EventKind
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.registry import registered
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.jobs.status import NOT_STARTED
from jobcron.operations._rows.error_lines import exception_line
from jobcron.operations.listing import JobSummary, summaries
from jobcron.queue.sources import find_source
from jobcron.settings.named import dotted_name
from jobcron.settings.settings import Settings

EVENTS = 200
"""The most events that are shown of a job: the newest."""

NEIGHBOURS = 50
"""The most predecessors, and successors, that are shown of a job."""

UUID_JOBS = 300_000
"""Among how many of the newest jobs a UUID is looked for that no index has."""

_BAD_ENDS = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED)
"""The statuses in PostgreSQL's index of bad ends, word for word."""


@dataclass(frozen=True)
class JobEvent:
    """An event in a job's history.

    Attributes:
        at: when it was.
        actor: who did it: `runner`, or a person.
        kind: what happened; the page of events has them.
        detail: more, in words.
        oops_id: the report of it.
        lease_token: the claim that it belongs to.
    """

    at: datetime
    actor: str
    kind: str
    detail: str | None
    oops_id: str | None
    lease_token: int


@dataclass(frozen=True)
class JobDetails(JobSummary):
    """Everything about one job.

    Attributes:
        expires_at: it is not run after.
        crash_count: in how many attempts its process died.
        max_retries: how many retries it has; null: any number.
        lease_token: the number of its last claim.
        result: what it returned, if it calls a function.
        target_type: the class of what it is about, for a type without a table of its own.
        target_id: the key of that object.
        data: its data, with the arguments.
        steps: of a job of several tasks, the tasks that are done and those to be done, and the workspace.
        log: the whole of its last error.
        history: its newest events, `EVENTS` at most, the oldest first.
        predecessors: the jobs that it waits for, or has waited for, `NEIGHBOURS` at most.
        successors: the jobs that wait for it, or have waited for it, as many at most.
    """

    expires_at: datetime | None
    crash_count: int
    max_retries: int | None
    lease_token: int
    result: str | None
    log: str | None
    target_type: str | None
    target_id: str | None
    data: dict[str, object]
    steps: dict[str, object] | None
    history: tuple[JobEvent, ...]
    predecessors: tuple[Neighbour, ...]
    successors: tuple[Neighbour, ...]


@dataclass(frozen=True)
class AboutJob:
    """What the class of a job says about it, in words.

    Attributes:
        arguments: its arguments by name, and the rest of its data; empty if only the row's data is known.
        target: what it is about.
        related: its related action, such as a URL.
    """

    arguments: dict[str, object]
    target: str | None
    related: str | None


def job_details(connection: Connection, job_id: int) -> JobDetails:
    """Return everything about a job.

    Raises:
        NoSuchJob: there is no such job.
    """
    query = summaries().where(Job.id == job_id)
    row = connection.execute(query.add_columns(*_MORE)).mappings().one_or_none()
    if row is None:
        raise NoSuchJob(f"expected a job with the number {job_id}, found none")
    values = {str(name): value for name, value in row.items()}
    return JobDetails(
        **{**values, "error": exception_line(row["log"])},
        history=job_history(connection, job_id),
        predecessors=_without_data(predecessors_of(connection, job_id, limit=NEIGHBOURS)),
        successors=_without_data(successors_of(connection, job_id, limit=NEIGHBOURS)),
    )


def _without_data(neighbours: list[Neighbour]) -> tuple[Neighbour, ...]:
    """Return neighbours without their data, which may be large: each has a page of its own."""
    return tuple(replace(neighbour, data=None) for neighbour in neighbours)


_MORE = (
    Job.expires_at,
    Job.crash_count,
    Job.max_retries,
    Job.lease_token,
    Job.result,
    Job.log,
    Job.target_type,
    Job.target_id,
    Job.json_data.label("data"),
    Job.steps,
)


_EVENT = (Event.at, Event.actor, Event.kind, Event.detail, Event.oops_id, Event.lease_token)


def job_history(connection: Connection, job_id: int) -> tuple[JobEvent, ...]:
    """Return a job's newest events, `EVENTS` at most, the oldest first."""
    newest = select(*_EVENT).where(Event.job_id == job_id).order_by(Event.id.desc()).limit(EVENTS)
    return tuple(JobEvent(*row) for row in reversed(connection.execute(newest).all()))


def newest_event(connection: Connection, job_id: int, *kinds: EventKind) -> JobEvent | None:
    """Return the newest event of some kinds in a job's history, however many others have followed, or None."""
    mine = (Event.job_id == job_id, Event.kind.in_([kind.value for kind in kinds]))
    found = connection.execute(select(*_EVENT).where(*mine).order_by(Event.id.desc()).limit(1)).one_or_none()
    return None if found is None else JobEvent(*found)


def find_job(connection: Connection, uuid: UUID) -> int:
    """Return the number of the job with a UUID.

    On PostgreSQL no index has the UUIDs of jobs that have completed: they are looked for among a limited number
    of jobs, the newest first.

    Raises:
        NoSuchJob: there is no such job among them.
    """
    mine = select(Job.id).where(Job.uuid == uuid)
    if connection.dialect.name != "postgresql":
        found, first = connection.scalar(mine), 1
    else:
        parts = (
            mine.where(has_status(*NOT_STARTED)),
            mine.where(has_status(JobStatus.RUNNING)),  # few: the index of leases has them
            mine.where(has_status(*_BAD_ENDS), Job.uuid.is_not(None)),
        )
        found = connection.scalar(union_all(*parts).limit(1))
        first = max(1, (connection.scalar(select(func.max(Job.id))) or 0) - UUID_JOBS + 1)
        if found is None:
            found = connection.scalar(mine.where(Job.id >= first).order_by(Job.id.desc()).limit(1))
    if found is None and first > 1:
        raise NoSuchJob(
            f"expected a job with the UUID {uuid} among those that have not completed and those from {first} on, "
            "found none; give its number"
        )
    if found is None:
        raise NoSuchJob(f"expected a job with the UUID {uuid}, found none")
    return found


def about_job(session: Session, job_id: int, settings: Settings | None = None) -> AboutJob:
    """Return what a job's class says about it; the application must have been imported.

    An error that the application raises is told in the place of what it should have said.

    Args:
        session: it is only read.
        job_id: the job's number.
        settings: the instance's: what its sections name is imported if nobody else has imported the class.
    """
    connection = jobs_connection(session)
    name = connection.scalar(
        select(JobTypeRow.name).join(Job, Job.type_id == JobTypeRow.id).where(Job.id == job_id)
    )
    if settings is not None and name not in registered():
        for section in settings.sections.values():
            with suppress(ConfigurationError):  # another section's class may be the one
                find_source(settings, section)
    job_class = registered().get(name or "")
    if job_class is None or not issubclass(job_class, BaseRunnableJob):
        return AboutJob({}, None, None)
    try:
        job = job_class.get(job_id, session=session)
    except Exception as error:
        return AboutJob({}, f"cannot be loaded: {error}", None)
    arguments = dict(job.getOopsVars()) if isinstance(job, FunctionJob) else _arguments(job)
    return AboutJob(arguments, _told(lambda: _named(job.target)), _told(job.related_action))


def _arguments(job: BaseRunnableJob) -> dict[str, object]:
    """Return the values of a job of a class: its data, the columns of its family's row, and its arguments."""
    found: dict[str, object] = dict(job.job.json_data)
    places: dict[str, object] = {}
    if type(job).has_family:
        keys = {column.key for column in object_mapper(job.context).column_attrs} - OF_EVERY_ROW
        places = dict.fromkeys(sorted(keys), job.context)
    places |= dict.fromkeys(type(job).declared().arguments, job)
    for name, place in places.items():
        try:
            found[name] = _readable(getattr(place, name))  # any object: what the application has declared
        except Exception as error:
            found[name] = f"cannot be told: {type(error).__name__}: {error}"
    return found


def _readable(value: object) -> object:
    """Return a value as JSON has it, and what JSON has not as text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return {str(key): _readable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_readable(item) for item in value]
        case Enum():
            return value.name
        case _:
            is_mapped = object_state(value, raiseerr=False) is not None
            return _named(value) if is_mapped else str(value)


def _named(target: object) -> str | None:
    """Return an object as its class prints it; if it does not say how, its class and its key."""
    if target is None:
        return None
    printers: list[object] = [type(target).__repr__, type(target).__str__]
    if printers != [object.__repr__, object.__str__]:
        return str(target)
    key = object_mapper(target).primary_key_from_instance(target)
    return f"{dotted_name(type(target))} {', '.join(map(str, key))}"


def _told(ask: Callable[[], object]) -> str | None:
    """Return what the application says, as text, or why it cannot say it."""
    try:
        said = ask()
        return None if said is None else str(said)
    except Exception as error:
        return f"cannot be told: {type(error).__name__}: {error}"
