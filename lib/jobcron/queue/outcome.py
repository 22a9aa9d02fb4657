"""What became of an attempt, as values; and which error leads to which (LP-19 to LP-22).

Nothing here touches a database or a clock: `finish` applies what is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jobcron.database.trouble import Interruption
from jobcron.errors import CrashLimitReached
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        status: the job's new status.
        kind: of the event in the job's history.
        counted: whether the attempt counts.
        error: what ended it.
        reported: whether it makes an OOPS report.
        detail: what happened, in words.
        delay: seconds until the job may run again; None: as it was scheduled.
        interruption: what the database did that ended the attempt, if it did.
    """

    status: ClassVar[JobStatus]
    kind: ClassVar[EventKind]
    counted: ClassVar[bool] = True
    reported: ClassVar[bool] = False

    error: BaseException | None = None
    detail: str | None = None
    delay: float | None = None
    interruption: Interruption | None = None

    @property
    def note(self) -> str | None:
        """What the job's history keeps as the detail: an interruption's own words, by which these are counted."""
        return self.detail if self.interruption is None else self.interruption.value


class Completed(Outcome):
    """The job returned, and its work is committed with its status."""

    status = JobStatus.COMPLETED
    kind = EventKind.COMPLETED


class Failed(Outcome):
    """An error that nobody handles; it is reported."""

    status = JobStatus.FAILED
    kind = EventKind.FAILED
    reported = True


class UserError(Outcome):
    """An error that is the user's to hear of."""

    status = JobStatus.FAILED
    kind = EventKind.USER_ERROR


class Retry(Outcome):
    """An error that may pass."""

    status = JobStatus.WAITING
    kind = EventKind.RETRY


class Postponed(Retry):
    """An error that may pass, whose attempt does not count."""

    counted = False


class Suspended(Outcome):
    """The job asked to be put aside."""

    status = JobStatus.SUSPENDED
    kind = EventKind.SUSPENDED


class Stopped(Outcome):
    """The runner, the machine or the database stopped the attempt: it does not count."""

    status = JobStatus.WAITING
    kind = EventKind.INTERRUPTED
    counted = False


class NotStarted(Outcome):
    """The job was claimed and given back untouched; its history does not mention it."""

    status = JobStatus.WAITING
    kind = EventKind.GIVEN_BACK
    counted = False


class Superseded(Outcome):
    """A job with the same unique key came while this one ran: that one does the work."""

    status = JobStatus.CANCELLED
    kind = EventKind.SUPERSEDED


class PoisonStopped(Failed):
    """The job's process died too often: it failed without being run again, so this is no attempt."""

    counted = False


def poisoned(crashes: int) -> PoisonStopped:
    """Return the end of a job whose process died so often."""
    return PoisonStopped(
        CrashLimitReached(f"the process died {crashes} times while this job ran; it is not run again")
    )


class Lost(Outcome):
    """The job is somebody else's: there is nothing to write."""

    status = JobStatus.RUNNING
    kind = EventKind.LEASE_LOST
