"""The events that listeners of metrics receive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobStarted:
    """An attempt at a job begins.

    Attributes:
        section: of the configuration.
        job_class: the name of the job's class.
        job_id: the job's number.
        waited: seconds that the job was ready before it was taken; None where nobody knows, as of a job that was
            taken over from a process that died.
    """

    section: str
    job_class: str
    job_id: int
    waited: float | None


@dataclass(frozen=True)
class JobEnded:
    """An attempt at a job has ended, and what became of it is written.

    Attributes:
        section, job_class, job_id: as of `JobStarted`.
        outcome: "completed", "failed", "user_error", "retry", "suspended", "interrupted", "superseded" or
            "lease_lost".
        seconds: how long it took.
    """

    section: str
    job_class: str
    job_id: int
    outcome: str
    seconds: float


@dataclass(frozen=True)
class JobTakenOver:
    """A job was found under a lease that is past: the process that had begun it died, or was cut off for as long.

    Attributes:
        section, job_id: as of `JobStarted`.
    """

    section: str
    job_id: int


@dataclass(frozen=True)
class ReadyCounted:
    """What is still ready at the end of a run.

    Attributes:
        section: as of `JobStarted`.
        ready: how many jobs are.
        oldest_seconds: how long the first in line has been ready; 0 where none is.
    """

    section: str
    ready: int
    oldest_seconds: float


@dataclass(frozen=True)
class RunEnded:
    """A run of the script has looked at its jobs, and ends.

    Attributes:
        section: as of `JobStarted`.
        seconds: since the script began.
        succeeded: whether it could do its work, also where jobs failed.
    """

    section: str
    seconds: float
    succeeded: bool


MetricEvent = JobStarted | JobEnded | JobTakenOver | ReadyCounted | RunEnded
"""What a listener is told; no row of `jobcron_event`, which is a job's history."""
