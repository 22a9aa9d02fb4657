"""Which error leads to which outcome: user errors, retries and their pauses, interruptions."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from jobcron.database.trouble import Interruption, interruption_of
from jobcron.errors import (
    Interrupted,
    LeaseLost,
    RetryableJobError,
    SuspendJobException,
)
from jobcron.queue.outcome import Failed, Lost, Outcome, Postponed, Retry, Stopped, Suspended, UserError
from jobcron.queue.views import RunnableView

MAX_DATABASE_INTERRUPTIONS = 10
"""A job that meets one of `BOUNDED_INTERRUPTIONS` more often than this in a row has failed."""

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
"""What the job itself may bring about, each time that it runs."""

MAX_BACK_OFF_SECONDS = 300.0

MAX_DELAY_SECONDS = 3e8
"""About ten years: what every database's times can hold."""


class Counts(NamedTuple):
    """What a job's row says of its attempts.

    Attributes:
        attempts: begun, the present one included.
        crashes: attempts that ended with the death of their process; these use up no retry.
        max_retries: n allows n + 1 runs; None any number (LP-21).
    """

    attempts: int = 1
    crashes: int = 0
    max_retries: int | None = 0

    @property
    def ended(self) -> int:
        """How many attempts ended by themselves, the present one included."""
        return self.attempts - self.crashes

    @property
    def has_retry_left(self) -> bool:
        """Whether the job may be retried."""
        return self.max_retries is None or self.ended <= self.max_retries


def back_off(interruptions: int) -> float:
    """Return the seconds to wait after so many interruptions by the database: 1, 2, 4 … 300."""
    return float(min(2.0 ** min(interruptions, 20), MAX_BACK_OFF_SECONDS))


def outcome_of(error: BaseException, job: RunnableView, counts: Counts, interruptions: int) -> Outcome:
    """Return what an error that ended an attempt means.

    Of an exception group one member is enough to say that the attempt was stopped, or the lease lost; it is a user
    error, a suspension or one to be retried only if every member is.

    Args:
        error: what the job, or the commit of its work, raised.
        job: its ``user_error_types``, ``retry_error_types`` and delays count.
        counts: the attempt that just ended included.
        interruptions: how often the database interrupted the job before.
    """
    errors = members_of(error)
    if any(isinstance(e, LeaseLost) for e in errors):
        return Lost(error)
    if any(isinstance(e, Interrupted | KeyboardInterrupt) for e in errors):
        return Stopped(error)
    kind = next(filter(None, map(interruption_of, (error, *errors))), None)
    if kind is not None:
        if kind in BOUNDED_INTERRUPTIONS and interruptions >= MAX_DATABASE_INTERRUPTIONS:
            return Failed(error)
        return Stopped(error, kind.sentence, back_off(interruptions), kind)
    if all(isinstance(e, SuspendJobException) for e in errors):
        return Suspended(error)
    user = job.user_error_types
    if all(isinstance(e, user) for e in errors):
        return UserError(error)
    retried: tuple[type[BaseException], ...] = (RetryableJobError, *job.retry_error_types)
    # any object: an error of the job's own, which may say so whatever its class
    is_postponed = any(getattr(e, "ignore_retry", False) for e in errors)
    if all(isinstance(e, retried) for e in errors) and (is_postponed or counts.has_retry_left):
        delay = max(_retry_delay(e, job, counts.ended) for e in errors)
        return (Postponed if is_postponed else Retry)(error, delay=delay)
    return Failed(error)


def members_of(error: BaseException) -> list[BaseException]:
    """Return an error alone; of an exception group, all errors that are in it, however deep."""
    members, waiting = [], [error]
    while waiting:
        first = waiting.pop()
        if isinstance(first, BaseExceptionGroup):
            waiting.extend(reversed(first.exceptions))
        else:
            members.append(first)
    return members


def _retry_delay(error: BaseException, job: RunnableView, attempts: int) -> float:
    """Return the seconds until the next attempt, after so many that counted."""
    if isinstance(error, RetryableJobError) and error.seconds is not None:
        delay = float(error.seconds)  # the job knows better than its class
    else:
        longest = job.retry_delay_limit
        growth = math.log2(max(1.0, job.retry_backoff)) * max(0, attempts - 1)
        delay = job.retry_delay * 2.0 ** min(growth, 1000.0)
        delay = delay if longest is None else min(delay, longest)
        # Only ever later: of jobs that failed together, none comes back before what it waits for may be over.
        delay *= 1 + random.uniform(0, job.retry_jitter)
    # not (… > 0): what is no number at all comes to 0 as well
    return min(delay, MAX_DELAY_SECONDS) if delay > 0 else 0.0
