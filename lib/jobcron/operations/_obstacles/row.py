"""A job as a claim sees it: what the database says of its row, in one reading."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Boolean, Connection, and_, exists, literal_column, select

from jobcron.database.clock import database_now
from jobcron.database.statements import conditions_of
from jobcron.database.tables import JobTypeRow
from jobcron.errors import NoSuchJob
from jobcron.interfaces import JobStatus
from jobcron.jobs.graphs.reading import Neighbour, predecessors_of
from jobcron.jobs.history import EventKind
from jobcron.jobs.job import Job, has_status, is_renewed, lease_end, twin_of
from jobcron.jobs.moves.pauses import Pause
from jobcron.operations._obstacles.lock import Locker, locker_of
from jobcron.operations.details import JobEvent, newest_event
from jobcron.operations.processes.channels import Full, pauses_for
from jobcron.operations.processes.turns import in_the_way

TOLD_JOBS = 5
"""How many of the jobs that a BLOCKED one waits for are told."""

_IS_ABANDONED = and_(has_status(JobStatus.RUNNING), lease_end() <= database_now())
"""The condition under which a running job is taken over: its lease is past."""


@dataclass(frozen=True)
class Values:
    """The columns of a job that its reasons name, whether its keeper renewed its lease, and the present time."""

    id: int
    type_id: int
    type: str
    status: JobStatus
    priority: int
    scheduled_start: datetime
    expires_at: datetime | None
    date_started: datetime | None
    date_finished: datetime | None
    claimed_by: str | None
    lease_expires: datetime | None
    is_renewed: bool
    lease_token: int
    crash_count: int
    attempt_count: int
    log: str | None
    oops_id: str | None
    unique_key: str | None
    queue: str
    channel: str | None
    channel_key: str
    now: datetime


@dataclass(frozen=True)
class Row:
    """A job as a claim sees it.

    Attributes:
        values: the columns that its reasons name.
        conditions: the conditions of the claim by name, and whether each holds.
        is_abandoned: whether its lease is past, so that it is taken over.
        locker: who holds the row locked, so that claims pass it over.
        event: the newest event that says how it came to its status.
        twin: the job with the same unique key that has not started.
        pauses: the pauses of its type, its queue and its channel.
        full: the limits of its channel that are reached.
        waits_for: jobs whose end it waits for, if it is BLOCKED: the first ones.
    """

    values: Values
    conditions: dict[str, bool]
    is_abandoned: bool
    locker: Locker | None
    event: JobEvent | None
    twin: int | None
    pauses: tuple[Pause, ...]
    full: tuple[Full, ...]
    waits_for: tuple[Neighbour, ...] = ()

    @property
    def is_claimable(self) -> bool:
        """Whether a claim or a takeover takes the job."""
        if self.locker is not None or self.full or self.pauses:
            return False
        status = self.values.status
        is_waiting = status is JobStatus.WAITING and all(self.conditions.values())
        return is_waiting or (status is JobStatus.RUNNING and self.is_abandoned)


def read_row(connection: Connection, job_id: int) -> Row:
    """Return a job as a claim sees it.

    Raises:
        NoSuchJob: there is no such job.
    """
    conditions = conditions_of(connection, "jobcron_job")
    query = (
        select(*_COLUMNS, lease_end().label("lease_expires"), _IS_ABANDONED.label("is_abandoned"))
        .add_columns(exists().where(is_renewed()).correlate(Job).label("is_renewed"))
        .add_columns(*(literal_column(f"({sql})", Boolean).label(name) for name, sql in conditions.items()))
        .join(JobTypeRow, JobTypeRow.id == Job.type_id)
        .where(Job.id == job_id)
    )
    found = connection.execute(query).mappings().one_or_none()
    if found is None:
        raise NoSuchJob(f"expected a job with the number {job_id}, found none")
    values = Values(**{field.name: found[field.name] for field in fields(Values)})
    is_pending = values.status is JobStatus.WAITING or bool(found["is_abandoned"])
    return Row(
        values,
        {name: bool(found[name]) for name in conditions},
        bool(found["is_abandoned"]),
        locker_of(connection, job_id),
        newest_event(connection, job_id, *MOVES),
        None if values.unique_key is None else twin_of(connection, job_id),
        ()
        if found["is_not_paused"] and values.channel is None
        else pauses_for(connection, values.type, values.queue, values.channel),
        in_the_way(connection, values.channel if is_pending else None, values.channel_key, values.id),
        tuple(predecessors_of(connection, values.id, limit=TOLD_JOBS, only_unmet=True)),
    )


_COLUMNS = (
    Job.id,
    Job.type_id.label("type_id"),
    JobTypeRow.name.label("type"),
    Job._status.label("status"),
    Job.priority,
    Job.scheduled_start,
    Job.expires_at,
    Job.date_started,
    Job.date_finished,
    Job.claimed_by,
    Job.lease_token,
    Job.crash_count,
    Job.attempt_count,
    Job.log,
    Job.oops_id,
    Job.unique_key,
    Job.queue_name.label("queue"),
    Job.channel,
    Job.channel_key,
    database_now().label("now"),
)

MOVES = (
    EventKind.COMPLETED,
    EventKind.FAILED,
    EventKind.USER_ERROR,
    EventKind.RETRY,
    EventKind.SUSPENDED,
    EventKind.CANCELLED,
    EventKind.INTERRUPTED,
    EventKind.SLOW_LANE,
    EventKind.SUPERSEDED,
    EventKind.WAITS_FOR_CODE,
    EventKind.EXPIRED,
    EventKind.REQUEUED,
    EventKind.RESUMED,
    EventKind.UNDONE,
)
"""The kinds of events that say how a job came to its status; any other, such as a mail's, follows its move."""
