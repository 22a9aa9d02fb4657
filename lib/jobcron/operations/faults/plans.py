"""Statements of each run or tick that read the whole table of jobs, although it is large."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from jobcron.operations.forecast.reading import Planned, whole_scans
from jobcron.operations.reasons import Finding
from jobcron.queue.health import Health

PLANNED_ROWS = 10_000
"""From how many rows of jobs on a statement that reads all of them is a fault."""

STATEMENTS: tuple[Planned, ...] = ("claim", "dead", "expire", "tick")

REMEDIES = {
    "postgresql": "ANALYZE jobcron_job; and is autovacuum on?",
    "sqlite": "ANALYZE, and create the indexes that are missing as the migrations in schema/versions do",
}


def plan_findings(connection: Connection) -> Iterator[Finding]:
    """Yield the statements whose plan uses no index on the table of jobs; nothing is changed."""
    counted = text("SELECT count(*) FROM (SELECT 1 FROM jobcron_job LIMIT :limit) AS first")
    if (connection.scalar(counted, {"limit": PLANNED_ROWS}) or 0) < PLANNED_ROWS:
        return
    own = {"run_name": "", "minus_activity_interval": -600.0, "minus_patience": 0.0}
    number, name = connection.execute(text("SELECT id, name FROM jobcron_type ORDER BY id LIMIT 1")).one()
    for statement in STATEMENTS:
        kind = name if statement == "tick" else number
        parameters = {"type": kind, "batch": 100, "gone": "", "section": "", **own}
        if "jobcron_job" in whole_scans(connection, statement, parameters):
            told = f"the statement {statement} would read the whole table jobcron_job: no index is used"
            yield Finding("plans", Health.WARNING, told, REMEDIES[connection.dialect.name])
