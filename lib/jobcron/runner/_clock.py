"""The clock of an attempt: when the next events are due, and how the job was interrupted."""

from __future__ import annotations

import time

RETRY_SECONDS = 5.0
"""The delay in seconds before a failed renewal is retried."""


class Clock:
    """The due times of an attempt, and its interruption; used by the keeper's threads and the job's own.

    All times are in seconds of the monotonic clock.

    Args:
        taken: when the lease began.
        lease_seconds: how long the lease lasts.
        time_limit: seconds that the job may run, or None.

    Attributes:
        started: when the attempt began.
        renew_at: when the lease should be renewed.
        deadline: when the time limit is over, or None.
        time_limit: the limit in seconds that set the deadline.
        interrupted: the first error with which the job was interrupted, or None.
        progress: per cent done, as set by the job; the keeper writes it.
    """

    def __init__(self, taken: float, lease_seconds: float, time_limit: float | None) -> None:
        self._lease_seconds = lease_seconds
        self.started = time.monotonic()
        self.renew_at = taken + lease_seconds / 3
        self.time_limit = time_limit
        self.deadline = None if time_limit is None else self.started + time_limit
        self.interrupted: BaseException | None = None
        self.progress: int | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the attempt began."""
        return time.monotonic() - self.started

    def restart(self) -> float:
        """Count from now on, because the job only begins now; return the present time."""
        self.started = time.monotonic()
        return self.started

    def limit_to(self, seconds: float | None) -> None:
        """Allow the job this many seconds from now on, and clear its earlier interruption."""
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.interrupted, self.time_limit = None, seconds

    def is_overdue(self, now: float) -> bool:
        """Return whether the job has exceeded its time limit."""
        return self.deadline is not None and now >= self.deadline

    def renewed(self) -> None:
        """Schedule the next renewal after one that succeeded."""
        self.renew_at = time.monotonic() + self._lease_seconds / 3

    def renewal_failed(self) -> None:
        """Schedule the retry of a renewal that failed."""
        self.renew_at = time.monotonic() + min(RETRY_SECONDS, self._lease_seconds / 10)

    def interrupt(self, error: BaseException) -> None:
        """Record the error that interrupts the job; the first error stays."""
        self.interrupted = self.interrupted or error

    def withdraw(self, error: BaseException) -> None:
        """Clear an interruption that did not reach the job."""
        if self.interrupted is error:
            self.interrupted = None
