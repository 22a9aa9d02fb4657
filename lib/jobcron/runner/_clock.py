"""The facts and the clock of an attempt, and the clock of a run: the ``max_runtime`` of a section."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from uuid import UUID, uuid4

from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim
from jobcron.queue.error_rules import Counts
from jobcron.queue.loading import Claimed
from jobcron.queue.type_feed import smoothed
from jobcron.reports.plurals import counted

RETRY_SECONDS = 5.0
"""The delay in seconds before a failed renewal is retried."""


def waited_of(row: Job) -> float | None:
    """Return how many seconds a job was ready before it was claimed, by the database's clock; None: unknown."""
    started, ready = row.date_started, max(row.date_created, row.scheduled_start)
    return None if started is None else max(0.0, (started - ready).total_seconds())


def known_of(claimed: Claimed) -> tuple[Counts, UUID, float | None]:
    """Return a job's counts, its UUID, and how long it waited in seconds, without loading its row."""
    facts = claimed.facts
    if facts is not None:
        return Counts(facts.attempts, 0, facts.max_retries), facts.uuid, facts.waited
    row = claimed.job.row
    if row is None:
        return Counts(), uuid4(), None
    counts = Counts(row.attempt_count, row.crash_count, row.max_retries)
    return counts, row.uuid, None if counts.crashes else waited_of(row)


@dataclass(frozen=True)
class Facts:
    """The constant facts of an attempt, as plain values: a rollback empties the row.

    Attributes:
        claim: the job's number and our lease token.
        uuid: the job's UUID.
        class_name: the name of the job's class.
        waited: how many seconds the job was ready before it was claimed; None: unknown.
        lease_seconds: how long each renewal lasts.
        process: the id of the process that made the attempt.
    """

    claim: Claim
    uuid: UUID
    class_name: str
    waited: float | None
    lease_seconds: float
    process: int

    @property
    def name(self) -> str:
        """The job's name in logs."""
        return f"{self.class_name} (ID {self.claim.id})"


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
        """Restart the clock, because the job only begins now; return the present time."""
        self.started = time.monotonic()
        return self.started

    def limit_to(self, seconds: float | None) -> None:
        """Limit the job to this many seconds from now on, and clear an earlier interruption."""
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
        """Record the error that interrupts the job, unless there is one already."""
        self.interrupted = self.interrupted or error

    def withdraw(self, error: BaseException) -> None:
        """Clear an interruption that did not reach the job."""
        if self.interrupted is error:
            self.interrupted = None


# why: decisions 2026-11-24, `max_runtime` judges by run rows
class Runtime:
    """The time that a run has left.

    The first job always starts, so a section whose jobs take longer than its `max_runtime` still makes
    progress.

    Args:
        max_runtime: in seconds; None: unlimited.
        typical_seconds: how long a job took in earlier runs; None: unknown.
    """

    def __init__(self, max_runtime: float | None, typical_seconds: float | None = None) -> None:
        self.max_runtime = max_runtime
        self._began = time.monotonic()
        self._typical = typical_seconds
        self._is_first = True

    def took(self, seconds: float) -> None:
        """Note how long a job took, in seconds."""
        self._typical = smoothed(self._typical, seconds)

    @property
    def elapsed(self) -> float:
        """How long the run has lasted, in seconds."""
        return time.monotonic() - self._began

    def may_start(self) -> bool:
        """Return whether one more job may start: the first, or one that ends in time if its length is typical."""
        is_first, self._is_first = self._is_first, False
        if is_first or self.max_runtime is None or self._typical is None:
            return True
        return self.elapsed + self._typical <= self.max_runtime

    def tell(self, logger: logging.Logger) -> None:
        """Log why the run starts no more jobs."""
        logger.info(
            "Another job may not end within max_runtime, %s, of which %.1f are over: what is left "
            "waits for the next run.",
            counted(self.max_runtime or 0, "second"),
            self.elapsed,
        )
