"""The states of the connector's jobs, derived from the job status (OCQ-03)."""

from __future__ import annotations

from enum import StrEnum

from jobcron.interfaces import JobStatus


class FunctionState(StrEnum):
    """The state of a function's job, as callers see it. There is no "enqueued": a claimed job starts at once."""

    PENDING = "pending"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @classmethod
    def of(cls, status: JobStatus) -> FunctionState:
        """Return the state for a row's status; a job that waits for any reason is pending."""
        return _STATES.get(status, cls.PENDING)


_STATES = {
    JobStatus.RUNNING: FunctionState.STARTED,
    JobStatus.COMPLETED: FunctionState.DONE,
    JobStatus.FAILED: FunctionState.FAILED,
    JobStatus.CANCELLED: FunctionState.CANCELLED,
    JobStatus.EXPIRED: FunctionState.CANCELLED,
}
