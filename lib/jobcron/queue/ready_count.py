"""Count the jobs of a source that are ready."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from jobcron.database.statements import execute

READY_LIMIT = 100_000
"""How many ready jobs of one priority are counted, at most."""


@dataclass(frozen=True)
class ReadyJobs:
    """How many jobs are ready.

    Attributes:
        count: their number; at most about `READY_LIMIT`.
        oldest_seconds: for how long the oldest of them has been ready.
    """

    count: int
    oldest_seconds: float


def count_ready(connection: Connection, source: str) -> ReadyJobs:
    """Return how many jobs of a source, which is given by its dotted name, are ready; only reads."""
    row = execute(connection, "ready", {"source": source, "limit": READY_LIMIT}).one()
    oldest = 0.0
    if row.since is not None:  # datetimes from PostgreSQL, texts from SQLite
        since, now = (datetime.fromisoformat(str(moment)) for moment in (row.since, row.now))
        oldest = max(0.0, (now - since).total_seconds())
    return ReadyJobs(int(row.ready), oldest)
