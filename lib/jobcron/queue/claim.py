"""Statements that take jobs: claim, take over, expire.

Only these, `keeper` and `finish` write leases, and `Job` when somebody moves a job by hand.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobcron.database.statements import execute
from jobcron.jobs.lease import Claim


class Claimant(NamedTuple):
    """The name of the claiming process, and the length of its leases."""

    name: str
    lease_seconds: float


def claim(connection: Connection, type_id: int, batch: int, claimant: Claimant) -> list[Claim]:
    """Claim up to `batch` ready jobs of a type, in the order in which they should start."""
    return _taken(connection, "claim", claimant, type=type_id, batch=batch)


def claim_one(connection: Connection, job_id: int, claimant: Claimant) -> list[Claim]:
    """Claim one job if it is waiting, due and free, whatever its type; return an empty list if it is not."""
    return _taken(connection, "claim_one", claimant, id=job_id)


def reclaim(connection: Connection, type_id: int, claimant: Claimant) -> list[Claim]:
    """Take over one job of a type whose lease has expired; return an empty list if there is none."""
    return _taken(connection, "reclaim", claimant, type=type_id)


def expire(connection: Connection, type_id: int, batch: int) -> list[Claim]:
    """Move up to `batch` waiting jobs of a type whose expiry has passed to EXPIRED."""
    rows = execute(connection, "expire", {"type": type_id, "batch": batch})
    return [Claim(row.id, row.lease_token) for row in rows]


def _taken(connection: Connection, statement: str, claimant: Claimant, **parameters: Any) -> list[Claim]:
    taken = time.monotonic()
    parameters["lease_seconds"] = claimant.lease_seconds
    parameters["claimed_by"] = claimant.name
    rows = execute(connection, statement, parameters).all()
    # UPDATE … RETURNING guarantees no order of its rows.
    return [Claim(row.id, row.lease_token, taken) for row in sorted(rows, key=lambda row: row.place)]
