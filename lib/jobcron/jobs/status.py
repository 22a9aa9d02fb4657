"""The statuses of a job: groups of them, their legal moves, what a move writes besides, and their storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    SQLColumnExpression,
    case,
    exists,
    literal,
    literal_column,
    not_,
    select,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import Update
from sqlalchemy.types import SmallInteger, TypeDecorator

from jobcron.database.clock import database_now
from jobcron.database.statements import among
from jobcron.database.tables import EdgeRow, jobs_connection
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind, record
from jobcron.jobs.lease import Claim

WAITING, RUNNING, COMPLETED, FAILED, SUSPENDED, CANCELLED, EXPIRED, BLOCKED = JobStatus

MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    WAITING: frozenset({RUNNING, SUSPENDED, CANCELLED, EXPIRED, COMPLETED, BLOCKED}),
    RUNNING: frozenset({WAITING, COMPLETED, FAILED, SUSPENDED, CANCELLED}),
    COMPLETED: frozenset({WAITING, BLOCKED}),
    FAILED: frozenset({WAITING, COMPLETED, BLOCKED}),
    SUSPENDED: frozenset({WAITING, CANCELLED, COMPLETED}),
    CANCELLED: frozenset({WAITING, COMPLETED, BLOCKED}),
    EXPIRED: frozenset({WAITING, COMPLETED, BLOCKED}),
    BLOCKED: frozenset({WAITING, COMPLETED, CANCELLED, EXPIRED}),
}
"""The legal moves by hand (docs/reference/statuses.md). The database refuses all others, from every writer."""

STATUS_OF = {int(status): status for status in JobStatus}

NOT_STARTED = (WAITING, SUSPENDED, BLOCKED)
"""A job in one of these has not read the state that it will work on: its unique key is taken."""

ENDED = (COMPLETED, FAILED, CANCELLED, EXPIRED)

PENDING = (WAITING, RUNNING, SUSPENDED, BLOCKED)


class StatusType(TypeDecorator[JobStatus]):
    """A `JobStatus`, stored as a small integer."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: JobStatus | None, dialect: Dialect) -> int | None:
        """Return the value for the driver."""
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> JobStatus | None:
        """Return the value for the application."""
        return None if value is None else STATUS_OF[value]


Written = dict[str, object]
"""Values or expressions, by the attributes of `Job`."""


def moved_to(start: SQLColumnExpression[datetime]) -> Written:
    """Return the values of a job that is due at another time than was asked for when it was created.

    The first one stays known: an expiry counts from it, when the job is scheduled again.
    """
    return {"scheduled_start": start, "asked_start": literal_column("coalesce(asked_start, scheduled_start)")}


_BEGUN: ColumnElement[int] = literal_column(
    f"CASE WHEN status = {RUNNING:d} AND date_started IS NOT NULL THEN lease_token ELSE begun_token END",
    BigInteger,
)
"""The token under which a job has begun: the claim of its first attempt does not write that."""


def back_to_waiting() -> Written:
    """Return the values of a job that waits again, afresh; that it has begun stays a fact.

    So does what it has committed on its way, unless it is COMPLETED: then nothing is half done.
    """
    return {
        "has_committed": literal_column(f"has_committed AND status <> {COMPLETED:d}", Boolean),
        "begun_token": _BEGUN,
        "date_finished": None,
        "lease_expires": None,
        "claimed_by": None,
        "_progress": None,
        "expires_at": None,
        "attempt_count": 0,
        "crash_count": 0,
    }


def status_again(
    status: SQLColumnExpression[JobStatus], job_id: SQLColumnExpression[int]
) -> ColumnElement[JobStatus]:
    """Return the status of a job that is to run again: one that had ended waits for its predecessors once more.

    One that is BLOCKED still is asked to wait for them no longer.
    """
    unmet = exists().where(EdgeRow.successor_id == job_id, not_(EdgeRow.is_met)).correlate_except(EdgeRow)
    return case((status.in_(ENDED) & unmet, literal(BLOCKED, StatusType)), else_=literal(WAITING, StatusType))


def unmet_edges(job_ids: Sequence[int]) -> Select[int, int]:
    """Return the query for the edges that keep jobs BLOCKED, in the order in which they are to be locked.

    Whoever makes a job BLOCKED locks them first. Whoever ends a predecessor writes the same rows: it waits then,
    and sees the job BLOCKED. Else it would see the job as it was, and release nothing.
    """
    mine = (among(EdgeRow.successor_id, job_ids), not_(EdgeRow.is_met))
    query = select(EdgeRow.successor_id, EdgeRow.predecessor_id).where(*mine)
    return query.order_by(EdgeRow.successor_id, EdgeRow.predecessor_id)


def status_to_write(
    session: Session, job_id: int, status: JobStatus, requested: JobStatus
) -> JobStatus | ColumnElement[JobStatus]:
    """Return what the move of one job writes, with the edges locked if it may be BLOCKED: see `status_again`."""
    if requested is not WAITING or status not in ENDED:
        return requested
    connection = jobs_connection(session)
    if connection.dialect.name == "postgresql":
        connection.execute(unmet_edges([job_id]).with_for_update(key_share=True))
    return status_again(literal(status, StatusType), literal(job_id, EdgeRow.successor_id.type))


def ended() -> Written:
    """Return the values of a job that ends now."""
    return {"date_finished": database_now(), "lease_expires": None, "begun_token": _BEGUN}


def suspended() -> Written:
    """Return the values of a job that is put aside."""
    return {"lease_expires": None, "begun_token": _BEGUN}


def cancelled(status: SQLColumnExpression[JobStatus], attempts: SQLColumnExpression[int]) -> Written:
    """Return the values of a job that is cancelled; an attempt that runs does not count."""
    return {**ended(), "attempt_count": case((status == JobStatus.RUNNING, attempts - 1), else_=attempts)}


def status_before(status: JobStatus, has_begun: bool) -> str:
    """Return what the event of a job that is moved says: its status, and whether its work may be half done."""
    is_half_done = has_begun and status is not RUNNING and status not in ENDED
    return f"was {status.title}" + (", had begun: what it has committed stays" if is_half_done else "")


def counts_before(attempts: int, crashes: int) -> str:
    """Return what the event of a job that waits again says: the counts that it had."""
    return f"attempt_count was {attempts}, crash_count was {crashes}"


PROGRESS = "own_progress"
"""The parameter of a move's statement that has the progress, or None."""


class OwnMove(NamedTuple):
    """A move of a running job by the job itself: it is written at the end of the attempt, with the job's work.

    Attributes:
        status: the status that it leads to.
        kind: the kind of event for the job's history.
        detail: what the history says besides.
        statement: the UPDATE of the job's row, fenced; with the parameter `PROGRESS`.
    """

    status: JobStatus
    kind: EventKind
    detail: str
    statement: Update

    def write(self, connection: Connection, claim: Claim, progress: int | None) -> bool:
        """Write the move in the job's own transaction; return False if the job is not ours any more."""
        if connection.execute(self.statement, {PROGRESS: progress}).rowcount != 1:
            return False
        record(connection, claim, self.kind, self.detail, actor="the job itself")
        return True


class Movable(Protocol):
    """An attempt, as a job's row sees it."""

    @property
    def claim(self) -> Claim:
        """The attempt's claim."""

    def end_as(self, move: OwnMove) -> None:
        """Note the move; of several the last one counts."""
