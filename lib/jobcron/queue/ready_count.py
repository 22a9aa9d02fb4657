"""Count the ready jobs of a source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from jobcron.database.statements import execute, expect_few_rows

READY_LIMIT = 100_000
"""How many ready jobs of a type are counted."""


@dataclass(frozen=True)
class ReadyJobs:
    """The ready jobs of a source, counted.

    Attributes:
        count: their number; if it is greater than the limit, there are at least as many.
        oldest_seconds: how long the oldest of them has been ready.
    """

    count: int
    oldest_seconds: float


def count_ready(connection: Connection, source: str, limit: int = READY_LIMIT) -> ReadyJobs:
    """Count the ready jobs of a source; only reads.

    Args:
        connection: in a transaction.
        source: the source's dotted name.
        limit: of each type, no more are counted once so many are.
    """
    expect_few_rows(connection)
    row = execute(connection, "ready", {"source": source, "limit": limit}).one()
    oldest = 0.0
    if row.since is not None:  # a datetime from PostgreSQL, a text from SQLite
        since, now = (datetime.fromisoformat(str(moment)) for moment in (row.since, row.now))
        oldest = max(0.0, (now - since).total_seconds())
    return ReadyJobs(int(row.ready), oldest)
