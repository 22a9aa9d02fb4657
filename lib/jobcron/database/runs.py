"""The record of runs: one row for each that did something, few for those that found nothing (LP-27)."""

from __future__ import annotations

import socket

from sqlalchemy import Connection, select

from jobcron.database.statements import execute
from jobcron.database.tables import Run

REMEMBERED_RUNS = 10
"""So many runs tell how long a job takes."""


def record_run(
    connection: Connection,
    name: str,
    seconds: float,
    completed: int,
    incomplete: int,
    oopses: int,
    activity_interval: float,
) -> None:
    """Write the row of a run that just ended.

    A run that found nothing is written only if there is no row younger than `activity_interval`.

    Args:
        connection: in a transaction.
        name: of the section.
        seconds: how long the run took.
        completed, incomplete, oopses: how many jobs and reports there were.
        activity_interval: in seconds.
    """
    parameters = {
        "name": name,
        "hostname": socket.gethostname(),
        "minus_seconds": -seconds,
        "completed": completed,
        "incomplete": incomplete,
        "oopses": oopses,
        "always": int(completed + incomplete > 0),
        "minus_activity_interval": -activity_interval,
    }
    execute(connection, "record_run", parameters)


def is_due(connection: Connection, name: str, activity_interval: float) -> bool:
    """Tell whether no run of this name was written within `activity_interval` seconds."""
    parameters = {"name": name, "minus_activity_interval": -activity_interval}
    return execute(connection, "recent_run", parameters).first() is None


def typical_seconds(connection: Connection, name: str) -> float | None:
    """Return how much of the last runs of this name each job took, in seconds; None where none had a job."""
    jobs = Run.completed + Run.incomplete
    last = select(Run.date_started, Run.date_completed, jobs).where(Run.name == name, jobs > 0)
    rows = connection.execute(last.order_by(Run.date_started.desc()).limit(REMEMBERED_RUNS)).all()
    if not rows:
        return None
    seconds = sum((completed - started).total_seconds() for started, completed, _ in rows)
    return seconds / sum(count for *_, count in rows)
