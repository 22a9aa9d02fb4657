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

    @classmethod
    def of(cls, status: JobStatus) -> FunctionState:
        """Return the state for a row's status; a job that waits, for whatever reason, is pending."""
        return _STATES.get(status, cls.PENDING)


_STATES = {
    JobStatus.RUNNING: FunctionState.STARTED,
    JobStatus.COMPLETED: FunctionState.DONE,
    JobStatus.FAILED: FunctionState.FAILED,
    JobStatus.CANCELLED: FunctionState.CANCELLED,
    JobStatus.EXPIRED: FunctionState.CANCELLED,
}
