"""What is left of an attempt that ended without success: what a class's ``database_only`` lets reports say."""

from __future__ import annotations

from typing import Any

ALL_UNDONE = "all undone: the job works in its database only; what it committed by a checkpoint stays"


def effects_of(job: Any, uuid: object) -> str:
    """Return what may be left, for people.

    Args:
        job: the runnable job, or its source where no more is known.
        uuid: the job's.
    """
    if getattr(job, "database_only", False) is True:
        return ALL_UNDONE
    return f"undone in its database; what it did elsewhere may have happened: its idempotency key is {uuid}"
