"""The clock of an attempt: what is due when, and what interrupted the job."""

from __future__ import annotations

import time

RETRY_SECONDS = 5.0
"""How soon a renewal that did not go through is tried again."""


class Clock:
    """What is due when, and what interrupted the job; the keeper's threads and the job's own use it.

    All times are in seconds of the monotonic clock.

    Args:
        taken: when the lease began.
        lease_seconds: how long it lasts.
        time_limit: seconds that the job may run, or None.

    Attributes:
        started: when the attempt began.
        renew_at: when the lease is to be renewed.
        deadline: when the job has run too long, or None.
        time_limit: seconds that led to the deadline.
        interrupted: the first error that the job was interrupted with, or None.
        progress: per cent done, as the job says; the keeper writes it.
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
        """Count from now on, since the job begins only now; return now."""
        self.started = time.monotonic()
        return self.started

    def limit_to(self, seconds: float | None) -> None:
        """Allow the job so many seconds from now on, and forget what interrupted it before."""
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.interrupted, self.time_limit = None, seconds

    def is_overdue(self, now: float) -> bool:
        """Tell whether the job has run too long."""
        return self.deadline is not None and now >= self.deadline

    def renewed(self) -> None:
        """Schedule the next renewal of a lease that is renewed now."""
        self.renew_at = time.monotonic() + self._lease_seconds / 3

    def renewal_failed(self) -> None:
        """Schedule the next try of a renewal that did not go through."""
        self.renew_at = time.monotonic() + min(RETRY_SECONDS, self._lease_seconds / 10)

    def interrupt(self, error: BaseException) -> None:
        """Note what the job is interrupted with; the first error stays."""
        self.interrupted = self.interrupted or error

    def withdraw(self, error: BaseException) -> None:
        """Forget an interruption that did not reach the job."""
        if self.interrupted is error:
            self.interrupted = None
