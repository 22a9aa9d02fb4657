"""Look at jobs of `functionapp`: the rows of what `delay` returned, and what was committed."""

from __future__ import annotations

from uuid import UUID

from instances import Instance
from jobcron import Job


def found(instance: Instance, uuid: str) -> Job:
    """Return the row of a job by the uuid that `delay` returned."""
    (row,) = [row for row in instance.rows() if row.uuid == UUID(uuid)]
    return row


def notes(instance: Instance) -> list[str]:
    """Return what the functions have committed."""
    return [text for *_, text in instance.ledger()]
