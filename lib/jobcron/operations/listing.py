"""Pages and counts of the jobs of a selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, func, select

from jobcron.database.statements import among
from jobcron.database.tables import JobTypeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import START_ORDER, Job, lease_end
from jobcron.operations._rows.error_lines import ends_of_error, exception_line
from jobcron.operations._rows.search import nearest, search
from jobcron.operations._rows.start_order import StartKey, line
from jobcron.operations.asking import STATUS_GROUPS
from jobcron.operations.selection import Selection, chosen_types, conditions

__all__ = ["Count", "JobSummary", "Page", "StartKey", "StartPage", "batches", "count_by_status", "count_jobs"]
__all__ += ["limited", "list_in_start_order", "list_jobs", "logs_of", "newest_number", "summaries"]

PAGE = 50
"""How many jobs a page has, if nothing else is asked for."""

COUNTED = 10_000
"""The most jobs that are counted."""


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
        error: the line of its last error that names the exception.
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
        is_cut: whether the graph of the selection has more jobs than are looked at: `NEAREST`.
    """

    jobs: tuple[JobSummary, ...]
    next: int | None
    is_full: bool
    is_cut: bool = False


@dataclass(frozen=True)
class StartPage:
    """A page of waiting jobs, in the order in which they start.

    Attributes:
        jobs: the jobs.
        next: where the next page begins: `list_in_start_order` with `after=next` returns it; None: it has none.
        is_full: as of `Page`.
        is_cut: likewise.
    """

    jobs: tuple[JobSummary, ...]
    next: StartKey | None
    is_full: bool
    is_cut: bool = False


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
    connection: Connection,
    selection: Selection,
    *,
    below: int | None = None,
    above: int | None = None,
    is_oldest_first: bool = False,
    limit: int = PAGE,
) -> Page:
    """Return a page of the jobs of a selection; it looks at a limited number of rows.

    Args:
        connection: a connection; it is only read.
        selection: which jobs.
        below: only jobs with smaller numbers.
        above: only jobs with greater numbers, if the oldest come first.
        is_oldest_first: whether the oldest come first.
        limit: the most jobs on the page.
    """
    looked = search(connection, selection, above if is_oldest_first else below, is_oldest_first=is_oldest_first)
    order = Job.id if is_oldest_first else Job.id.desc()
    query = summaries().where(*looked.where).order_by(order).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    jobs = tuple(_summary(row) for row in rows[:limit])
    if len(rows) > limit:
        return Page(jobs, jobs[-1].id, is_full=True, is_cut=looked.is_cut)
    return Page(jobs, looked.next, is_full=False, is_cut=looked.is_cut)


def list_in_start_order(
    connection: Connection, selection: Selection, *, after: StartKey | None = None, limit: int = PAGE
) -> StartPage:
    """Return a page of the waiting jobs of a selection in the order in which they start; see `list_jobs`.

    Args:
        connection: a connection; it is only read.
        selection: which jobs; of its statuses only waiting counts.
        after: only jobs that start after the one with this place.
        limit: the most jobs on the page.

    Raises:
        ConfigurationError: they are of too many types.
    """
    types = chosen_types(connection, selection)
    keys, end = line(connection, types.ids, after, limit)
    where = conditions(selection.with_statuses(JobStatus.WAITING), types, connection.dialect.name)
    near = None if selection.graph is None else nearest(connection, selection.graph)
    if near is not None:
        where.append(among(Job.id, near.ids))
    is_cut = near is not None and near.is_cut
    query = summaries().where(among(Job.id, [key.id for key in keys]), *where)
    rows = connection.execute(query.order_by(*START_ORDER).limit(limit + 1)).mappings().all()
    jobs = tuple(_summary(row) for row in rows[:limit])
    if len(rows) > limit:
        last = jobs[-1]
        return StartPage(jobs, StartKey(last.priority, last.scheduled_start, last.id), is_full=True, is_cut=is_cut)
    return StartPage(jobs, end, is_full=False, is_cut=is_cut)


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
            looked = search(reading, selection, below, has_whole_graph=True)
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
    return Count(number, is_exact=looked.is_complete)


def count_by_status(connection: Connection, selection: Selection) -> dict[JobStatus, Count]:
    """Count the jobs of a selection for each status, whatever statuses it names; see `count_jobs`."""
    counts: dict[JobStatus, Count] = {}
    pending, ended = STATUS_GROUPS["pending"], STATUS_GROUPS["ended"]
    looked = search(connection, selection.with_statuses(*pending))
    is_shared = looked.is_by_number or selection.graph is not None  # the same rows are looked at once
    groups = [(*pending, *ended)] if is_shared else [pending, ended]
    for group in groups:
        looked = search(connection, selection.with_statuses(*group))
        counted = select(Job._status, func.count()).where(*looked.where).group_by(Job._status)
        found = {row[0]: row[1] for row in connection.execute(counted)}
        for status in group:
            number = found.get(status, 0)
            is_exact = number <= COUNTED and looked.is_complete
            counts[status] = Count(min(number, COUNTED), is_exact)
    return {status: counts[status] for status in JobStatus}


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
        ends_of_error().label("error"),
        JobTypeRow.name.label("type"),
    )


def _summary(row: RowMapping) -> JobSummary:
    values = {str(name): value for name, value in row.items()}
    return JobSummary(**{**values, "error": exception_line(values["error"])})
