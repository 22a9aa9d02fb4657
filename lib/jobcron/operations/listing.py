"""Pages and counts of the jobs of a selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Text, case, func, select

from jobcron.database.statements import among
from jobcron.database.tables import JobTypeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, lease_end
from jobcron.operations._search import search
from jobcron.operations.asking import STATUS_GROUPS
from jobcron.operations.selection import Selection

PAGE = 50
"""How many jobs a page has, if nothing else is asked for."""

COUNTED = 10_000
"""The most jobs that are counted."""

ERROR_LENGTH = 2000
"""How many characters of the end of an error are read for a list: the message of a refused statement is long."""

_FRAME = '  File "'
"""The beginning of a frame of a traceback."""


@dataclass(frozen=True)
class JobSummary:
    """A job in a list.

    Attributes:
        id: its number.
        uuid: its idempotency key.
        type: its type, such as `foo_job.ACT`.
        status: its status.
        queue: its queue.
        channel: its channel; None: it was given none, and no section has claimed it in one.
        priority: lowest first.
        scheduled_start: it is not run before.
        date_created: when it was created.
        date_started: when its last attempt began.
        date_finished: when it ended.
        attempt_count: how many attempts there were.
        requester: who asked for it.
        description: what it is about, for people.
        unique_key: of the jobs of a type with this key, one can wait.
        progress: per cent done, if it says so.
        claimed_by: host and process that took it last.
        lease_expires: until when it is held.
        oops_id: the report of its last failure.
        error: the last line of its last error.
    """

    id: int
    uuid: UUID
    type: str
    status: JobStatus
    queue: str
    channel: str | None
    priority: int
    scheduled_start: datetime
    date_created: datetime
    date_started: datetime | None
    date_finished: datetime | None
    attempt_count: int
    requester: str | None
    description: str | None
    unique_key: str | None
    progress: int | None
    claimed_by: str | None
    lease_expires: datetime | None
    oops_id: str | None
    error: str | None


@dataclass(frozen=True)
class Page:
    """A page of jobs, the newest first.

    Attributes:
        jobs: the jobs.
        next: where the next page begins: `list_jobs` with `below=next` returns it; None: this is the last one.
        is_full: whether the page has as many jobs as it can have. If it has not, and `next` is not None, a limited
            number of rows was looked at: older ones have not been.
    """

    jobs: tuple[JobSummary, ...]
    next: int | None
    is_full: bool


@dataclass(frozen=True)
class Count:
    """A number of jobs.

    Attributes:
        number: how many there are at least.
        is_exact: whether there are no more.
    """

    number: int
    is_exact: bool

    def __str__(self) -> str:
        return f"{self.number:,}{'' if self.is_exact else '+'}"


def list_jobs(
    connection: Connection, selection: Selection, *, below: int | None = None, limit: int = PAGE
) -> Page:
    """Return a page of the jobs of a selection; it looks at a limited number of rows.

    Args:
        connection: a connection; it is only read.
        selection: which jobs.
        below: only jobs with smaller numbers.
        limit: the most jobs on the page.
    """
    looked = search(connection, selection, below)
    query = summaries().where(*looked.where).order_by(Job.id.desc()).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    jobs = tuple(_summary(row) for row in rows[:limit])
    if len(rows) > limit:
        return Page(jobs, jobs[-1].id, is_full=True)
    return Page(jobs, looked.next, is_full=False)


def logs_of(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Return the whole errors of those of these jobs that have one, by number."""
    rows = connection.execute(select(Job.id, Job.log).where(among(Job.id, ids)))
    return {number: log for number, log in rows if log is not None}


def newest_number(connection: Connection) -> int:
    """Return the number of the newest job; 0: there is none."""
    return connection.scalar(select(func.max(Job.id))) or 0


def batches(
    connection: Callable[[], AbstractContextManager[Connection]], selection: Selection, size: int
) -> Iterator[list[int]]:
    """Yield the numbers of all jobs of a selection, in batches, the newest first.

    Each batch is found in a transaction of its own, which has ended when it is yielded.

    Args:
        connection: opens a short transaction that reads.
        selection: which jobs.
        size: the most jobs in a batch.
    """
    below: int | None = None
    while True:
        with connection() as reading:
            looked = search(reading, selection, below)
            query = select(Job.id).where(*looked.where).order_by(Job.id.desc()).limit(size)
            ids = list(reading.scalars(query))
        if ids:
            yield ids
        below = ids[-1] if len(ids) == size else looked.next
        if below is None:
            return


def limited(found: Iterable[list[int]], limit: int | None) -> Iterator[list[int]]:
    """Yield the batches of the first `limit` numbers; None: all of them."""
    left = limit
    for ids in found:
        if left is not None and len(ids) >= left:
            yield ids[:left]
            return
        yield ids
        left = None if left is None else left - len(ids)


def count_jobs(connection: Connection, selection: Selection) -> Count:
    """Count the jobs of a selection, `COUNTED` at most, among a limited number of rows."""
    looked = search(connection, selection)
    counted = select(Job.id).where(*looked.where).limit(COUNTED + 1).subquery()
    number = connection.scalar(select(func.count()).select_from(counted)) or 0
    if number > COUNTED:
        return Count(COUNTED, is_exact=False)
    return Count(number, is_exact=looked.next is None)


def count_by_status(connection: Connection, selection: Selection) -> dict[JobStatus, Count]:
    """Count the jobs of a selection for each status, whatever statuses it names; see `count_jobs`."""
    counts: dict[JobStatus, Count] = {}
    pending, ended = STATUS_GROUPS["pending"], STATUS_GROUPS["ended"]
    looked = search(connection, selection.with_statuses(*pending))
    groups = [(*pending, *ended)] if looked.is_by_number else [pending, ended]  # the same rows are looked at once
    for group in groups:
        looked = search(connection, selection.with_statuses(*group))
        counted = select(Job._status, func.count()).where(*looked.where).group_by(Job._status)
        found = {row[0]: row[1] for row in connection.execute(counted)}
        for status in group:
            number = found.get(status, 0)
            is_exact = number <= COUNTED and looked.next is None
            counts[status] = Count(min(number, COUNTED), is_exact)
    return {status: counts[status] for status in JobStatus}


def end_of_error() -> ColumnElement[str]:
    """Return the end of a job's error, as an SQL expression."""
    start = case((func.length(Job.log) > ERROR_LENGTH, func.length(Job.log) - ERROR_LENGTH + 1), else_=1)
    return func.substr(Job.log, start, type_=Text)


def summaries() -> Select[int]:
    """Return the query for the values of a `JobSummary`, of all jobs."""
    query = select(Job.id).join(JobTypeRow, JobTypeRow.id == Job.type_id)
    return query.add_columns(
        Job.uuid,
        Job._status.label("status"),
        Job.queue_name.label("queue"),
        Job.channel,
        Job.priority,
        Job.scheduled_start,
        Job.date_created,
        Job.date_started,
        Job.date_finished,
        Job.attempt_count,
        Job.requester,
        Job.description,
        Job.unique_key,
        Job.progress.expression.label("progress"),
        Job.claimed_by,
        lease_end().label("lease_expires"),
        Job.oops_id,
        end_of_error().label("error"),
        JobTypeRow.name.label("type"),
    )


def _summary(row: RowMapping) -> JobSummary:
    values = {str(name): value for name, value in row.items()}
    return JobSummary(**{**values, "error": exception_line(values["error"])})


def exception_line(text: str | None) -> str | None:
    """Return the line of an error that names the exception, if it is a traceback; else the last one.

    What follows it are more lines of its message, such as the statement that the database refused, or its notes.
    """
    lines = [line for line in (text or "").splitlines() if line.strip()]
    frames = [number for number, line in enumerate(lines) if line.startswith(_FRAME)]
    for line in lines[frames[-1] :] if frames else ():
        if not line[0].isspace():
            return line.strip()
    return lines[-1].strip() if lines else None
