"""The states of django-db-queue, derived from a job's status and the number of tasks done (DBQ-04)."""

from __future__ import annotations

from enum import StrEnum

from jobcron.interfaces import JobStatus


class State(StrEnum):
    """The state of a job of several tasks, as a caller sees it."""

    NEW = "NEW"
    READY = "READY"
    PROCESSING = "PROCESSING"
    STOPPING = "STOPPING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"


def state_of(status: JobStatus, step: int, is_stopping: bool) -> State:
    """Return the state.

    Args:
        status: the row's status; for CANCELLED and EXPIRED the state is FAILED.
        step: how many tasks are done.
        is_stopping: whether the process that runs the job was asked to stop.
    """
    match status:
        case JobStatus.COMPLETED:
            return State.COMPLETE
        case JobStatus.FAILED | JobStatus.CANCELLED | JobStatus.EXPIRED:
            return State.FAILED
        case JobStatus.RUNNING:
            return State.STOPPING if is_stopping else State.PROCESSING
        case _:
            return State.READY if step else State.NEW
