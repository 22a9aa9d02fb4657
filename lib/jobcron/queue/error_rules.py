"""The rules that map an error to an outcome: user errors, retries and their delays, interruptions."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from jobcron.database.trouble import Interruption, interruption_of, reason_of, told
from jobcron.errors import (
    Interrupted,
    LeaseLost,
    RetryableJobError,
    SuspendJobException,
    TimeLimitExceeded,
)
from jobcron.jobs.moves.lanes import lane_of
from jobcron.queue.outcome import (
    Failed,
    Lost,
    Outcome,
    Postponed,
    Retry,
    SlowLane,
    Stopped,
    Suspended,
    UserError,
    WaitsForCode,
)
from jobcron.queue.views import RunnableView
from jobcron.settings.durations import MAX_SECONDS, seconds_of

MAX_DATABASE_INTERRUPTIONS = 10
"""After more than this many of `BOUNDED_INTERRUPTIONS` in a row, a job has failed."""
# why: decisions 2026-11-22, interruptions by the database are counted

BOUNDED_INTERRUPTIONS = (
    Interruption.DEADLOCK,
    Interruption.SERIALIZATION_FAILURE,
    Interruption.DISK_FULL,
    Interruption.DISK_FAILED,
    Interruption.CONNECTION_LOST,
    Interruption.CHANGED_MEANWHILE,
    Interruption.LOCK_TIMEOUT,
    Interruption.STATEMENT_TIMEOUT,
    Interruption.READ_ONLY,
    Interruption.MEMORY_FULL,
)
"""Interruptions that the job itself may cause, each time it runs."""

MAX_BACK_OFF_SECONDS = 300.0

MIN_CODE_SECONDS = 60.0
MAX_CODE_SECONDS = 600.0
"""How soon a job that waits for code is tried again, in seconds."""

MIN_DELAY_SECONDS = 1.0
"""No job is retried sooner: a run would do nothing else, and its history would grow by a row each time."""
# why: decisions 2026-11-29, no retry before a second has passed


class Counts(NamedTuple):
    """The counts of a job's row.

    Attributes:
        attempts: attempts begun, including the present one.
        crashes: attempts that ended with the death of their process; these use up no retries.
        max_retries: n allows n + 1 attempts; None allows any number (LP-21).
    """

    attempts: int = 1
    crashes: int = 0
    max_retries: int | None = 0

    @property
    def ended(self) -> int:
        """How many attempts ended without a crash, including the present one."""
        return self.attempts - self.crashes

    @property
    def has_retry_left(self) -> bool:
        """Whether the job may be retried."""
        return self.max_retries is None or self.ended <= self.max_retries


def back_off(interruptions: int) -> float:
    """Return the delay in seconds after this many interruptions by the database: 1, 2, 4 … 300."""
    return float(min(2.0 ** min(interruptions, 20), MAX_BACK_OFF_SECONDS))


def outcome_of(error: BaseException, job: RunnableView, counts: Counts, interruptions: int) -> Outcome:
    """Return the outcome of an attempt that ended with an error.

    In an exception group, one member is enough for an attempt that was stopped or lost its lease. The group is
    a user error, a suspension or a retry only if every member is.

    Args:
        error: raised by the job, or by the commit of its work.
        job: gives its ``user_error_types``, ``retry_error_types`` and delays.
        counts: including the attempt that just ended.
        interruptions: how often the database interrupted the job before.
    """
    errors = members_of(error)
    if any(isinstance(e, LeaseLost) for e in errors):
        return Lost(error)
    if any(isinstance(e, Interrupted | KeyboardInterrupt) for e in errors):
        return Stopped(error)
    kind = next(filter(None, map(interruption_of, (error, *errors))), None)
    reason = next(filter(None, map(reason_of, (error, *errors))), None)
    if kind is not None:
        if kind in BOUNDED_INTERRUPTIONS and interruptions >= MAX_DATABASE_INTERRUPTIONS:
            return Failed(error)
        return Stopped(error, told(kind, reason), back_off(interruptions), kind, reason)
    if all(isinstance(e, TimeLimitExceeded) for e in errors) and (lane := lane_of(job.job)) is not None:
        return SlowLane(error, lane.type_name)
    if all(isinstance(e, SuspendJobException) for e in errors):
        return Suspended(error)
    user = job.user_error_types
    if all(isinstance(e, user) for e in errors):
        return UserError(error)
    retried: tuple[type[BaseException], ...] = (RetryableJobError, *job.retry_error_types)
    # any object: the job's own error may have this attribute, whatever its class
    is_postponed = any(getattr(e, "ignore_retry", False) for e in errors)
    if all(isinstance(e, retried) for e in errors) and (is_postponed or counts.has_retry_left):
        delay = max(_retry_delay(e, job, counts.ended) for e in errors)
        return (Postponed if is_postponed else Retry)(error, delay=delay)
    return Failed(error)


def waiting_for_code(error: BaseException, waited: float, limit: float | None) -> Outcome:
    """Return the outcome for a job whose row names what this code lacks.

    It is tried again after as long as it has waited, so that it costs little, and runs soon after code has come.

    Args:
        error: says what is missing.
        waited: for how many seconds the job has waited for code.
        limit: for how many seconds it may wait; None: for ever.
    """
    if limit is not None and waited >= limit:
        return Failed(error)
    return WaitsForCode(error, delay=min(max(waited, MIN_CODE_SECONDS), MAX_CODE_SECONDS))


def members_of(error: BaseException) -> list[BaseException]:
    """Return all errors in an exception group, however deeply nested; a single error is returned alone."""
    members, waiting = [], [error]
    while waiting:
        first = waiting.pop()
        if isinstance(first, BaseExceptionGroup):
            waiting.extend(reversed(first.exceptions))
        else:
            members.append(first)
    return members


def _retry_delay(error: BaseException, job: RunnableView, attempts: int) -> float:
    """Return the seconds until the next attempt, after this many attempts that counted.

    Raises:
        InvalidDuration: the job or its class gives nonsense.
    """
    if isinstance(error, RetryableJobError) and error.seconds is not None:
        delay = seconds_of("seconds of RetryableJobError", error.seconds)  # the job knows better than its class
    else:
        longest = job.retry_delay_limit
        growth = math.log2(max(1.0, job.retry_backoff)) * max(0, attempts - 1)
        delay = job.retry_delay * 2.0 ** min(growth, 1000.0)
        delay = delay if longest is None else min(delay, longest)
        # Jitter only adds: no job is retried before its delay is over.
        delay *= 1 + random.uniform(0, job.retry_jitter)
    return min(max(delay, MIN_DELAY_SECONDS), MAX_SECONDS)
