"""The states of the connector's jobs, derived from a job's status (OCQ-03)."""

from __future__ import annotations

from enum import StrEnum

from jobcron.interfaces import JobStatus


class FunctionState(StrEnum):
    """What a caller sees of a job of a function; none is enqueued, since what is claimed is started at once."""

    PENDING = "pending"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_STATES = {
    JobStatus.RUNNING: FunctionState.STARTED,
    JobStatus.COMPLETED: FunctionState.DONE,
    JobStatus.FAILED: FunctionState.FAILED,
    JobStatus.CANCELLED: FunctionState.CANCELLED,
    JobStatus.EXPIRED: FunctionState.CANCELLED,
}


def state_of(status: JobStatus) -> FunctionState:
    """Return the state of a row's status; what waits, in whatever way, is pending."""
    return _STATES.get(status, FunctionState.PENDING)
