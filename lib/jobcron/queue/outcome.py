"""The outcomes of an attempt, as values (LP-19 to LP-22).

Nothing here uses a database or a clock: `error_rules` choose an outcome, and `finish` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jobcron.database.trouble import Interruption
from jobcron.errors import CrashLimitReached
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind
from jobcron.reports import plurals


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        status: the job's new status.
        kind: the kind of event for the job's history.
        counted: whether the attempt counts.
        error: the error that ended the attempt.
        reported: whether an OOPS report is made.
        detail: what happened, in words.
        delay: seconds until the job may run again; None: unchanged.
        interruption: how the database interrupted the attempt, if it did.
        reason: why the server ended the connection, in its own words, if it did.
    """

    status: ClassVar[JobStatus]
    kind: ClassVar[EventKind]
    counted: ClassVar[bool] = True
    reported: ClassVar[bool] = False

    error: BaseException | None = None
    detail: str | None = None
    delay: float | None = None
    interruption: Interruption | None = None
    reason: str | None = None

    @property
    def note(self) -> str | None:
        """The detail for the job's history; for an interruption it begins with the key for counting these."""
        if self.interruption is None:
            return self.detail
        return f"{self.interruption.value}: {self.reason}" if self.reason else self.interruption.value


class Completed(Outcome):
    """The job returned, and its work was committed together with its status."""

    status = JobStatus.COMPLETED
    kind = EventKind.COMPLETED


class Deleted(Completed):
    """As Completed, but the job deleted its own row, and with it its status and history."""


class Failed(Outcome):
    """An unhandled error; it is reported."""

    status = JobStatus.FAILED
    kind = EventKind.FAILED
    reported = True


class UserError(Outcome):
    """An error that is reported to the user."""

    status = JobStatus.FAILED
    kind = EventKind.USER_ERROR


class Retry(Outcome):
    """A temporary error: the job is retried."""

    status = JobStatus.WAITING
    kind = EventKind.RETRY


class Postponed(Retry):
    """A temporary error: the job is retried, and the attempt does not count."""

    counted = False


class Suspended(Outcome):
    """The job asked to be suspended."""

    status = JobStatus.SUSPENDED
    kind = EventKind.SUSPENDED


class Stopped(Outcome):
    """The runner, the machine or the database stopped the attempt, which does not count."""

    status = JobStatus.WAITING
    kind = EventKind.INTERRUPTED
    counted = False


class SlowLane(Outcome):
    """The job has reached its time limit, and moves to its slow lane; `detail` is the name of that type."""

    status = JobStatus.WAITING
    kind = EventKind.SLOW_LANE
    counted = False


class WaitsForCode(Outcome):
    """The row names what this code lacks: the job was not started, and waits for code that has it."""

    status = JobStatus.WAITING
    kind = EventKind.WAITS_FOR_CODE
    counted = False


class NotStarted(Outcome):
    """The job was claimed and released without being started; its history does not mention it."""

    status = JobStatus.WAITING
    kind = EventKind.GIVEN_BACK
    counted = False


class Superseded(Outcome):
    """A twin was created while this job ran: the twin does the work."""

    status = JobStatus.CANCELLED
    kind = EventKind.SUPERSEDED


class PoisonStopped(Failed):
    """The job's process died too often: the job failed without another run, so this is no attempt."""

    counted = False


def poisoned(crashes: int) -> PoisonStopped:
    """Return the outcome for a job whose process died this often."""
    return PoisonStopped(
        CrashLimitReached(
            f"{plurals.counted(crashes, 'attempt')} at this job began and left no end: the process died, or could "
            "not renew the lease; it is not run again"
        )
    )


class Lost(Outcome):
    """The job belongs to another runner: nothing is written."""

    status = JobStatus.RUNNING
    kind = EventKind.LEASE_LOST
