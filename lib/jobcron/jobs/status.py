"""The statuses of a job: groups of them, their legal moves, and how they are stored."""

from __future__ import annotations

from sqlalchemy import (
    Dialect,
)
from sqlalchemy.types import SmallInteger, TypeDecorator

from jobcron.interfaces import JobStatus

W, R, C, F, S = (
    JobStatus.WAITING,
    JobStatus.RUNNING,
    JobStatus.COMPLETED,
    JobStatus.FAILED,
    JobStatus.SUSPENDED,
)
X, E, B = JobStatus.CANCELLED, JobStatus.EXPIRED, JobStatus.BLOCKED

MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    W: frozenset({R, S, X, E, C}),
    R: frozenset({W, C, F, S, X}),
    C: frozenset({W}),
    F: frozenset({W, C}),
    S: frozenset({W, X, C}),
    X: frozenset({W, C}),
    E: frozenset({W, C}),
    B: frozenset({W, X, E}),
}
"""The legal moves by hand (docs/reference/statuses.md). The database refuses all others, whoever writes."""

STATUS_OF = {int(status): status for status in JobStatus}

NOT_STARTED = (W, S, B)
"""A job in one of these has not read the state that it will work on: its unique key is taken."""

ENDED = (C, F, X, E)

PENDING = (W, R, S, B)


class StatusType(TypeDecorator[JobStatus]):
    """A `JobStatus` in a small integer."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: JobStatus | None, dialect: Dialect) -> int | None:
        """Return what the driver is given."""
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> JobStatus | None:
        """Return what the application sees."""
        return None if value is None else STATUS_OF[value]
