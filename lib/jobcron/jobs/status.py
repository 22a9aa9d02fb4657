"""The statuses of a job: groups of them, their legal moves, and their storage."""

from __future__ import annotations

from sqlalchemy import Dialect
from sqlalchemy.types import SmallInteger, TypeDecorator

from jobcron.interfaces import JobStatus

WAITING, RUNNING, COMPLETED, FAILED, SUSPENDED, CANCELLED, EXPIRED, BLOCKED = JobStatus

MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    WAITING: frozenset({RUNNING, SUSPENDED, CANCELLED, EXPIRED, COMPLETED}),
    RUNNING: frozenset({WAITING, COMPLETED, FAILED, SUSPENDED, CANCELLED}),
    COMPLETED: frozenset({WAITING}),
    FAILED: frozenset({WAITING, COMPLETED}),
    SUSPENDED: frozenset({WAITING, CANCELLED, COMPLETED}),
    CANCELLED: frozenset({WAITING, COMPLETED}),
    EXPIRED: frozenset({WAITING, COMPLETED}),
    BLOCKED: frozenset({WAITING, CANCELLED, EXPIRED}),
}
"""The legal moves by hand (docs/reference/statuses.md). The database refuses all others, whoever writes."""

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
