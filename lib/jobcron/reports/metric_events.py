"""The events that listeners of metrics receive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobStarted:
    """An attempt has begun.

    Attributes:
        section: the section's name.
        job_class: the name of the job's class.
        job_id: the job's number.
        waited: how long the job was ready before it was claimed, in seconds; None if that is unknown, as for a job
            that was taken over from a process that died.
    """

    section: str
    job_class: str
    job_id: int
    waited: float | None


@dataclass(frozen=True)
class JobEnded:
    """An attempt has ended, and its outcome is written.

    Attributes:
        section, job_class, job_id: as for `JobStarted`.
        outcome: "completed", "failed", "user_error", "retry", "suspended", "interrupted", "superseded" or
            "lease_lost"; for an attempt that did not begin, "waits_for_code" or "given_back".
        seconds: how long the attempt took, in seconds.
    """

    section: str
    job_class: str
    job_id: int
    outcome: str
    seconds: float


@dataclass(frozen=True)
class JobTakenOver:
    """A job was taken over: the process that had it died, or lost its connection until the lease expired.

    Attributes:
        section, job_id: as for `JobStarted`.
    """

    section: str
    job_id: int


@dataclass(frozen=True)
class ReadyCounted:
    """How many jobs are still ready at the end of a run.

    Attributes:
        section: as for `JobStarted`.
        ready: the number of ready jobs.
        oldest_seconds: how long the job that is next in line has been ready, in seconds; 0 if no job is ready.
        offered: how many of the section's waiting jobs were offered to its dispatcher, but not received from it.
    """

    section: str
    ready: int
    oldest_seconds: float
    offered: int = 0


@dataclass(frozen=True)
class RunEnded:
    """A run that has looked for jobs has ended.

    Attributes:
        section: as for `JobStarted`.
        seconds: the time since the script began, in seconds.
        succeeded: whether the run could do its work; True even if jobs failed.
    """

    section: str
    seconds: float
    succeeded: bool


MetricEvent = JobStarted | JobEnded | JobTakenOver | ReadyCounted | RunEnded
"""An event that listeners receive; not a row of `jobcron_event`, which is a job's history."""
