"""Moves and changes by hand of many jobs at once, in a few statements: the legal ones of `MOVES`, as for one job.

Rows that cannot be changed are told with the reason, and the others are changed. Rows that another session has
locked are passed over: a bulk change never waits for a job, but for those that wait for the jobs that it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, SQLColumnExpression, delete, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from jobcron.database.statements import among
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind, record_each
from jobcron.jobs.job import Job, can_hold_key, cancellation
from jobcron.jobs.lease import Claim
from jobcron.jobs.moves.edges import forget_marks, held_by_others, is_waited_for, lock_successors
from jobcron.jobs.status import (
    ENDED,
    MOVES,
    NOT_STARTED,
    Written,
    back_to_waiting,
    counts_before,
    ended,
    moved_to,
    status_again,
    status_before,
    suspended,
)

KEY_TAKEN = "another job with its unique key has just been made"
IN_USE = "rows of the application refer to it"
LOCKED = "its row is locked by another session"
ENDING = "another session is about to end a job that it waits for"
GONE = "there is no such job"
NEEDED = "a job that has not ended has it as predecessor"


class ChangedRow(NamedTuple):
    """A row before it is changed."""

    id: int
    type_id: int
    status: JobStatus
    lease_token: int
    begun_token: int
    unique_key: str | None
    attempt_count: int
    crash_count: int
    priority: int
    queue_name: str
    channel: str | None
    scheduled_start: datetime


@dataclass(frozen=True)
class Change:
    """A change of jobs.

    Attributes:
        allowed: the statuses in which a job can be changed.
        status: its new status; None: the same.
        values: what is written besides; None: the row is deleted.
        kind: the kind of the event.
        detail: what the event says, given the row as it was.
    """

    allowed: frozenset[JobStatus]
    status: JobStatus | None
    values: Written | None
    kind: EventKind
    detail: Callable[[ChangedRow], str]


@dataclass(frozen=True)
class Changed:
    """What became of a change.

    Attributes:
        moved: the numbers of the jobs that were changed.
        refused: the reason why not, by the number of each other job.
    """

    moved: tuple[int, ...]
    refused: dict[int, str]


Moment = SQLColumnExpression[datetime]
"""When a job is due, as an expression of the database's clock."""


def requeue(start: Moment | None = None) -> Change:
    """Return the change that makes jobs wait again, afresh; they are due as before, or at `start`."""
    values = back_to_waiting() if start is None else {**back_to_waiting(), **moved_to(start)}
    return Change(_statuses_before(JobStatus.WAITING), JobStatus.WAITING, values, EventKind.REQUEUED, _counts)


def resume(start: Moment | None = None) -> Change:
    """Return the change that makes suspended jobs wait again, afresh; they are due as before, or at `start`."""
    again = requeue(start)
    return replace(again, allowed=frozenset({JobStatus.SUSPENDED}), kind=EventKind.RESUMED)


def cancel() -> Change:
    """Return the change that cancels jobs; a runner that has one can no longer commit it."""
    return _move(JobStatus.CANCELLED, cancellation(), EventKind.CANCELLED)


def suspend() -> Change:
    """Return the change that puts jobs aside."""
    return _move(JobStatus.SUSPENDED, suspended(), EventKind.SUSPENDED)


def set_done() -> Change:
    """Return the change that completes jobs by hand."""
    return _move(JobStatus.COMPLETED, ended(), EventKind.COMPLETED)


def set_start(start: Moment) -> Change:
    """Return the change that sets when jobs are due that have not started; a lease taken by hand ends."""
    values: Written = {**moved_to(start), "lease_expires": None}
    return Change(frozenset(NOT_STARTED), None, values, EventKind.POSTPONED, _due)


def set_priority(priority: int) -> Change:
    """Return the change of the priority of jobs that have not started."""
    return Change(frozenset(NOT_STARTED), None, {"priority": priority}, EventKind.CHANGED, _priority)


def set_queue(name: str) -> Change:
    """Return the change of the queue of jobs that have not started."""
    return Change(frozenset(NOT_STARTED), None, {"queue_name": name}, EventKind.CHANGED, _queue)


def set_channel(name: str | None) -> Change:
    """Return the change of the channel of jobs that have not started; None: they have none of their own."""
    return Change(frozenset(NOT_STARTED), None, {"channel": name}, EventKind.CHANGED, _channel)


def remove() -> Change:
    """Return the change that deletes jobs that have ended, with their histories and family rows."""
    return Change(frozenset(ENDED), None, None, EventKind.CHANGED, _status)


def _move(status: JobStatus, values: Written, kind: EventKind) -> Change:
    return Change(_statuses_before(status), status, values, kind, _status)


def _statuses_before(status: JobStatus) -> frozenset[JobStatus]:
    return frozenset(before for before, after in MOVES.items() if status in after)


def _status(row: ChangedRow) -> str:
    return status_before(row.status, row.begun_token > 0)


def _counts(row: ChangedRow) -> str:
    return counts_before(row.attempt_count, row.crash_count)


def _due(row: ChangedRow) -> str:
    return f"was due at {row.scheduled_start:%Y-%m-%d %H:%M:%S} UTC"


def _priority(row: ChangedRow) -> str:
    return f"priority was {row.priority}"


def _queue(row: ChangedRow) -> str:
    return f"queue was {row.queue_name}"


def _channel(row: ChangedRow) -> str:
    return f"channel was {row.channel or 'none'}"


def change_jobs(
    connection: Connection, job_ids: Sequence[int], change: Change, actor: str, reason: str | None = None
) -> Changed:
    """Change jobs, in the caller's transaction, and record it in their histories.

    Args:
        connection: in a transaction that writes.
        job_ids: their numbers.
        change: the change.
        actor: who does it.
        reason: why, for the histories.
    """
    if change.status in ENDED:
        lock_successors(connection, job_ids, change.allowed)
    rows, refused = locked_jobs(connection, job_ids)
    fitting = []
    for row in rows:
        if row.status in change.allowed:
            fitting.append(row)
        else:
            refused[row.id] = f"it is {row.status.name}"
    refused |= _with_twins(connection, fitting, change) | _needed(connection, fitting, change)
    if change.status is JobStatus.WAITING:
        again = [row.id for row in fitting if row.status in ENDED and row.id not in refused]
        refused |= dict.fromkeys(held_by_others(connection, again), ENDING)
    moved = _written(connection, [row for row in fitting if row.id not in refused], change, refused)
    if moved and change.values is not None:
        suffix = "" if reason is None else f"; {reason}"
        told: list[tuple[Claim, str | None]] = [
            (Claim(row.id, row.lease_token), f"{change.detail(row)}{suffix}") for row in moved
        ]
        record_each(connection, told, change.kind, actor=actor)
    return Changed(tuple(row.id for row in moved), refused)


def locked_jobs(connection: Connection, job_ids: Sequence[int]) -> tuple[list[ChangedRow], dict[int, str]]:
    """Lock the rows that nobody else has locked, and return them; and why the others are refused."""
    columns = (
        Job.id,
        Job.type_id.label("type_id"),
        Job._status.label("status"),
        Job.lease_token,
        Job.begun_token,
        Job.unique_key,
        Job.attempt_count,
        Job.crash_count,
        Job.priority,
        Job.queue_name.label("queue_name"),
        Job.channel,
        Job.scheduled_start,
    )
    # As a claim locks: FOR UPDATE would wait for the uncommitted children of a row. In order, against deadlocks.
    free = select(*columns).where(among(Job.id, job_ids)).order_by(Job.id)
    found = connection.execute(free.with_for_update(key_share=True, skip_locked=True)).mappings()
    rows = [ChangedRow(**{name: row[name] for name in ChangedRow._fields}) for row in found]
    missing = set(job_ids) - {row.id for row in rows}
    there = set(connection.scalars(select(Job.id).where(among(Job.id, missing)))) if missing else set()
    return rows, {number: LOCKED if number in there else GONE for number in sorted(missing)}


def _with_twins(connection: Connection, rows: Iterable[ChangedRow], change: Change) -> dict[int, str]:
    """Return why jobs are refused whose unique key another job has that has not started, or has then."""
    if change.status not in NOT_STARTED:
        return {}
    keyed = [row for row in rows if row.unique_key is not None and row.status not in NOT_STARTED]
    if not keyed:
        return {}
    keys = {(row.type_id, row.unique_key) for row in keyed}
    columns = (Job.type_id, Job.unique_key, Job.id)
    of_keys = tuple_(Job.type_id, Job.unique_key).in_(sorted(keys))
    twins = select(*columns).where(can_hold_key(), Job.begun_token == 0, of_keys)
    holders = {(type_id, key): number for type_id, key, number in connection.execute(twins)}
    refused = {}
    for row in sorted(keyed, key=lambda row: -row.id):  # of several, the newest
        holder = holders.setdefault((row.type_id, row.unique_key), row.id)
        if holder != row.id:
            refused[row.id] = f"job {holder} has the same unique key {row.unique_key!r} and has not started"
    return refused


def _needed(connection: Connection, rows: Iterable[ChangedRow], change: Change) -> dict[int, str]:
    """Return why jobs are not deleted: others that have not ended wait for them, or may read their results."""
    if change.values is not None:
        return {}
    needed = select(Job.id).where(among(Job.id, [row.id for row in rows]), is_waited_for())
    return dict.fromkeys(connection.scalars(needed), NEEDED)


def _written(
    connection: Connection, rows: list[ChangedRow], change: Change, refused: dict[int, str]
) -> list[ChangedRow]:
    """Write the change; if a constraint refuses it for all, for one row after the other."""
    if not rows:
        return []
    try:
        with connection.begin_nested():
            _write(connection, [row.id for row in rows], change)
        return rows
    except IntegrityError:
        if len(rows) == 1:
            refused[rows[0].id] = IN_USE if change.values is None else KEY_TAKEN
            return []
    return [row for one in rows for row in _written(connection, [one], change, refused)]


def _write(connection: Connection, job_ids: list[int], change: Change) -> None:
    if change.values is None:
        connection.execute(delete(Job).where(among(Job.id, job_ids)))
        return
    values = change.values if change.status is None else {**change.values, "_status": change.status}
    columns = {getattr(Job, name): value for name, value in values.items()}
    if change.status is JobStatus.WAITING:
        forget_marks(connection, job_ids)
        columns[Job._status] = status_again(Job._status, Job.id)
    if change.status is not None and Job._progress not in columns:
        columns[Job._progress] = Job.progress.expression  # what the keeper of a running job wrote elsewhere
    connection.execute(update(Job).where(among(Job.id, job_ids)).values(columns))
