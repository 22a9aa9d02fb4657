"""What an act changed in the rows of jobs, and how it is undone: as far as they have not moved since.

What an act leaves is kept beside what was there before it. A job that still is as the act left it goes back, by
legal moves; whoever claimed or moved it meanwhile has made it something else.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from jobcron.database.clock import database_after, database_now
from jobcron.database.statements import among
from jobcron.database.stored_text import held
from jobcron.database.tables import ActRow, EdgeRow, UndoRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind, record_each
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim
from jobcron.jobs.moves.bulk_moves import ENDING, KEY_TAKEN, Changed, ChangedRow, locked_jobs
from jobcron.jobs.moves.edges import held_by_others, lock_successors, release_free
from jobcron.jobs.status import ENDED, MOVES, PENDING, STATUS_OF

PUT_BACK = (
    "_status",
    "priority",
    "queue_name",
    "channel",
    "scheduled_start",
    "asked_start",
    "expires_at",
    "date_finished",
    "claimed_by",
    "attempt_count",
    "crash_count",
    "_progress",
)
"""The attributes of `Job` that an act may change, and that are put back. A lease is not: it was for that time.

Code of another release may have kept fewer or more of them: what both have counts.
"""

COMPARED = (*PUT_BACK, "lease_token")
"""If one of these has changed, the job has moved."""

NOT_KEPT = "somebody has undone it meanwhile, or the act was pruned"

HOP_SECONDS = 60.0
"""A lease that nobody sees: of a job that is RUNNING between two statements of a transaction."""

Values = dict[str, object]


@dataclass(frozen=True)
class Kept:
    """What an act did to a job.

    Attributes:
        before: the values of `COMPARED` before it.
        after: the same after it.
    """

    before: Values
    after: Values


def values_of(connection: Connection, job_ids: Sequence[int]) -> dict[int, Values]:
    """Return what `COMPARED` says of jobs, as JSON has it, by their numbers."""
    columns = [getattr(Job, name).label(name) for name in COMPARED]
    rows = connection.execute(select(Job.id, *columns).where(among(Job.id, job_ids))).mappings()
    return {row["id"]: {name: _plain(row[name]) for name in COMPARED} for row in rows}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return int(value) if isinstance(value, JobStatus) else value


def write_act(connection: Connection, name: str, actor: str, reason: str | None) -> int:
    """Write an act, and return its number.

    Args:
        connection: in the transaction of the act.
        name: what it was: a word, such as ``retry``, or more that begins with one, such as ``delete jobs 4, 5``.
        actor: who did it.
        reason: why.
    """
    values = {"name": name, "actor": held(connection, actor), "reason": reason and held(connection, reason)}
    made = connection.execute(insert(ActRow).values(at=database_now(), **values).returning(ActRow.id))
    return int(made.scalar_one())


def keep(connection: Connection, act: int, before: Mapping[int, Values], moved: Sequence[int]) -> None:
    """Keep what an act did to jobs, in its transaction.

    Args:
        connection: in the transaction of the act.
        act: its number.
        before: what `values_of` said before it.
        moved: the numbers of the jobs that it has changed.
    """
    after = values_of(connection, moved)
    rows = [
        {"act": act, "job": number, "before": json.dumps(before[number]), "after": json.dumps(after[number])}
        for number in moved
    ]
    if rows:
        connection.execute(insert(UndoRow), rows)


def put_back(
    connection: Connection, act: int, job_ids: Sequence[int], actor: str, reason: str | None = None
) -> Changed:
    """Undo what an act did to some of its jobs, in the caller's transaction, and record it in their histories.

    Args:
        connection: in a transaction that writes.
        act: the number of the act.
        job_ids: the numbers of the jobs; a few hundred at most.
        actor: who does it.
        reason: why, for the histories.
    """
    ending = [number for number, one in _kept(connection, act, job_ids).items() if _status(one.before) in ENDED]
    lock_successors(connection, ending, PENDING)
    rows, refused = locked_jobs(connection, job_ids)
    kept = _kept(connection, act, job_ids)
    now = values_of(connection, [row.id for row in rows])
    fitting = []
    for row in rows:
        why = _why_not(row, kept[row.id], now[row.id]) if row.id in kept else NOT_KEPT
        if why is None:
            fitting.append(row)
        else:
            refused[row.id] = why
    blocked = [row.id for row in fitting if _status(kept[row.id].before) is JobStatus.BLOCKED]
    refused |= dict.fromkeys(held_by_others(connection, blocked), ENDING)
    moved = _written(connection, [row for row in fitting if row.id not in refused], kept, refused)
    if moved:
        _release(connection, act, max(job_ids), [row.id for row in moved])
        mine = (UndoRow.act == act, among(UndoRow.job_id, [row.id for row in moved]))
        connection.execute(delete(UndoRow).where(*mine))
        detail = f"act {act}" if reason is None else f"act {act}; {reason}"
        told: list[tuple[Claim, str | None]] = [(Claim(row.id, row.lease_token), detail) for row in moved]
        record_each(connection, told, EventKind.UNDONE, actor=actor)
    return Changed(tuple(row.id for row in moved), refused)


def _kept(connection: Connection, act: int, job_ids: Sequence[int]) -> dict[int, Kept]:
    query = select(UndoRow.job_id, UndoRow.before, UndoRow.after)
    rows = connection.execute(query.where(UndoRow.act == act, among(UndoRow.job_id, job_ids)))
    return {number: Kept(json.loads(before), json.loads(after)) for number, before, after in rows}


def _why_not(row: ChangedRow, kept: Kept, now: Values) -> str | None:
    """Return why the act cannot be undone for a job, or None."""
    if any(kept.after.get(name, value) != value for name, value in now.items()):
        return f"it has moved since: it is {row.status.name}"
    before = _status(kept.before)
    if before is JobStatus.RUNNING:
        return "it was RUNNING, and its process has lost it"
    if _path(row.status, before) is None:
        return f"it was {before.name}, and no job becomes that again"
    return None


def _path(start: JobStatus, end: JobStatus) -> list[JobStatus] | None:
    """Return the statuses from one to another one by legal moves, the fewest; None: there is no way."""
    paths, seen = deque([[start]]), {start}
    while paths:
        path = paths.popleft()
        if path[-1] is end:
            return path[1:]
        if len(path) > 1 and path[-1] in ENDED:
            continue  # whatever waits for its end would be released on the way
        for after in sorted(MOVES[path[-1]] - seen):
            seen.add(after)
            paths.append([*path, after])
    return None


def _written(
    connection: Connection, rows: list[ChangedRow], kept: Mapping[int, Kept], refused: dict[int, str]
) -> list[ChangedRow]:
    """Write what was; if a constraint refuses it for all, for one row after the other."""
    if not rows:
        return []
    try:
        with connection.begin_nested():
            _write(connection, rows, kept)
        return rows
    except IntegrityError:
        if len(rows) == 1:
            refused[rows[0].id] = KEY_TAKEN
            return []
    return [row for one in rows for row in _written(connection, [one], kept, refused)]


def _write(connection: Connection, rows: Iterable[ChangedRow], kept: Mapping[int, Kept]) -> None:
    by_path: dict[tuple[JobStatus, ...], list[int]] = {}
    for row in rows:
        before = kept[row.id].before
        path = _path(row.status, _status(before)) or []
        by_path.setdefault(tuple(path[:-1]), []).append(row.id)
    for hops, numbers in by_path.items():
        for hop in hops:
            connection.execute(update(Job).where(among(Job.id, numbers)).values(_hop(hop)))
        for number in numbers:
            before = kept[number].before
            values = {getattr(Job, name): _value(name, before[name]) for name in PUT_BACK if name in before}
            values |= {Job._status: _status(before), Job.lease_expires: None}
            connection.execute(update(Job).where(Job.id == number).values(values))


def _release(connection: Connection, act: int, newest: int, moved: Sequence[int]) -> None:
    """Release those whose predecessors have ended meanwhile, unless one of these is to be put back later."""
    is_later = exists().where(
        EdgeRow.successor_id == Job.id,
        UndoRow.act == act,
        UndoRow.job_id == EdgeRow.predecessor_id,
        UndoRow.job_id > newest,
    )
    release_free(connection, moved, ~is_later.correlate(Job))


def _hop(status: JobStatus) -> dict[object, object]:
    """Return the values of a job that has a status only on the way to another one."""
    if status is JobStatus.RUNNING:
        return {
            Job._status: status,
            Job.lease_token: Job.lease_token + 1,
            Job.lease_expires: database_after(HOP_SECONDS),
        }
    return {Job._status: status, Job.date_finished: None, Job.lease_expires: None}


def _status(values: Values) -> JobStatus:
    return STATUS_OF[int(str(values["_status"]))]


def _value(name: str, value: object) -> object:
    if name in ("scheduled_start", "asked_start", "expires_at", "date_finished") and value is not None:
        return datetime.fromisoformat(str(value))
    return value
