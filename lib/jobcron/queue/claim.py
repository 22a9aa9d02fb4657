"""Taking jobs: claim, take over, expire.

Only these, `keeper` and `finish` write leases, and `Job` for those who move a job by hand.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobcron.database.statements import execute
from jobcron.jobs.lease import Claim


class Claimant(NamedTuple):
    """Who claims, and for how long."""

    name: str
    lease_seconds: float


def claim(connection: Connection, type_id: int, batch: int, claimant: Claimant) -> list[Claim]:
    """Take up to `batch` ready jobs of a type, in the order in which they are to start."""
    return _taken(connection, "claim", claimant, type=type_id, batch=batch)


def claim_one(connection: Connection, job_id: int, claimant: Claimant) -> list[Claim]:
    """Take one job that is waiting, due and free, whatever its type; an empty list where it is not."""
    return _taken(connection, "claim_one", claimant, id=job_id)


def reclaim(connection: Connection, type_id: int, claimant: Claimant) -> list[Claim]:
    """Take over one job of a type whose lease is past; an empty list where there is none."""
    return _taken(connection, "reclaim", claimant, type=type_id)


def expire(connection: Connection, type_id: int, batch: int) -> list[Claim]:
    """Move up to `batch` waiting jobs of a type whose expiry is past to EXPIRED."""
    rows = execute(connection, "expire", {"type": type_id, "batch": batch})
    return [Claim(row.id, row.lease_token) for row in rows]


def _taken(connection: Connection, statement: str, claimant: Claimant, **parameters: Any) -> list[Claim]:
    taken = time.monotonic()
    parameters["lease_seconds"] = claimant.lease_seconds
    parameters["claimed_by"] = claimant.name
    rows = execute(connection, statement, parameters).all()
    # The order in which an UPDATE returns its rows is nobody's promise.
    return [Claim(row.id, row.lease_token, taken) for row in sorted(rows, key=lambda row: row.place)]
