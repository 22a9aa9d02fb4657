"""Generate the parts of the reference about a job's life: statuses, moves of status, events."""

from __future__ import annotations

import ast
import re
import sqlite3
from pathlib import Path

from generate_text import Incomplete, same, table

import jobcron
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import NOT_WRITTEN, EventKind
from jobcron.jobs.status import MOVES

PACKAGE = Path(jobcron.__file__).parent

WAITING, RUNNING, COMPLETED, FAILED, SUSPENDED, CANCELLED, EXPIRED, BLOCKED = JobStatus

CAUSES = {
    (WAITING, RUNNING): "a claim; `start()`",
    (WAITING, SUSPENDED): "`suspend()`",
    (WAITING, CANCELLED): "`cancel()`",
    (WAITING, EXPIRED): "its `expires_at` is past",
    (WAITING, COMPLETED): "`complete()`",
    (RUNNING, RUNNING): "its process died, and another run takes the job over",
    (RUNNING, WAITING): "a retry; an interruption; it was released before it started; `queue()`",
    (RUNNING, COMPLETED): "it returned, and its work was committed; `complete()`",
    (RUNNING, FAILED): "it raised an error, or exceeded its time limit, or its process died too often; `fail()`",
    (RUNNING, SUSPENDED): "it raised `SuspendJobException`; `suspend()`",
    (RUNNING, CANCELLED): "`cancel()`; it should wait again, but another job with its key is already waiting",
    (COMPLETED, WAITING): "`queue()`",
    (FAILED, WAITING): "`queue()`",
    (FAILED, COMPLETED): "`complete()`",
    (SUSPENDED, WAITING): "`resume()`; `queue()`",
    (SUSPENDED, CANCELLED): "`cancel()`",
    (SUSPENDED, COMPLETED): "`complete()`",
    (CANCELLED, WAITING): "`queue()`",
    (CANCELLED, COMPLETED): "`complete()`",
    (EXPIRED, WAITING): "`queue()`",
    (EXPIRED, COMPLETED): "`complete()`",
    (BLOCKED, WAITING): "nothing yet",
    (BLOCKED, CANCELLED): "`cancel()`",
    (BLOCKED, EXPIRED): "nothing yet",
}
"""What leads from one status to another."""


def rule_of_the_database() -> str:
    """Return the condition of the trigger that guards the moves, from the newest migration that has it."""
    for path in sorted((PACKAGE / "database" / "schema" / "versions").glob("*.py"), reverse=True):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEGAL_MOVE":
                return str(ast.literal_eval(node.value))
    raise Incomplete("no migration has a LEGAL_MOVE")


def moves_of_the_database() -> set[tuple[JobStatus, JobStatus]]:
    """Return the moves that the database allows, asked of its rule; under a token that has grown."""
    rule = re.sub(r"\b(NEW|OLD)\.(\w+)", r":\1_\2", rule_of_the_database())
    connection = sqlite3.connect(":memory:")
    allowed = set()
    for old in JobStatus:
        for new in JobStatus:
            values = {"OLD_status": int(old), "NEW_status": int(new), "OLD_lease_token": 1, "NEW_lease_token": 2}
            if connection.execute(f"SELECT {rule}", values).fetchone()[0] and (old is not new or old is RUNNING):
                allowed.add((old, new))
    connection.close()
    return allowed


def moves() -> str:
    """Return every move of status, with what leads to it."""
    by_hand = {(old, new) for old, several in MOVES.items() for new in several}
    same("moves", by_hand | {(RUNNING, RUNNING)}, set(CAUSES))
    same("moves that the database allows", moves_of_the_database(), set(CAUSES))
    heads = ["from", "to", "by"]
    return table(heads, [[old.name, new.name, cause] for (old, new), cause in CAUSES.items()])


def matrix() -> str:
    """Return which status may follow which, as a matrix."""
    allowed = moves_of_the_database()
    rows = [[f"**{old.name}**", *("•" if (old, new) in allowed else "" for new in JobStatus)] for old in JobStatus]
    return table(["from \\ to", *(status.name for status in JobStatus)], rows)


def statuses() -> str:
    """Return all statuses."""
    rows = [[str(int(s)), f"`{s.name}`", s.title, s.description] for s in JobStatus]
    return table(["number", "name", "title", "meaning"], rows)


def events() -> str:
    """Return every kind of event."""
    rows = [[f"`{kind}`", kind.description] for kind in EventKind if kind not in NOT_WRITTEN]
    return table(["kind", "what happened"], rows)
