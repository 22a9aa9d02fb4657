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

UNSEEN = "a graph is created, and the job's class has a `create` of its own; `jobcron undo`"
"""No picture has it: nobody sees the job before."""

AGAIN = "`queue()`, if jobs that it waits for have not ended"

CAUSES = {
    (WAITING, RUNNING): "a claim; `start()`",
    (WAITING, SUSPENDED): "`suspend()`",
    (WAITING, CANCELLED): "`cancel()`",
    (WAITING, EXPIRED): "its `expires_at` is past",
    (WAITING, COMPLETED): "`complete()`",
    (WAITING, BLOCKED): UNSEEN,
    (RUNNING, RUNNING): "its process died, and another run takes the job over",
    (RUNNING, WAITING): "a retry; an interruption; it was released before it started; `queue()`",
    (RUNNING, COMPLETED): "it returned, and its work was committed; `complete()`",
    (RUNNING, FAILED): "it raised an error, or exceeded its time limit, or its process died too often; `fail()`",
    (RUNNING, SUSPENDED): "it raised `SuspendJobException`; `suspend()`",
    (RUNNING, CANCELLED): "`cancel()`; it should wait again, but another job with its key is already waiting",
    (COMPLETED, WAITING): "`queue()`",
    (COMPLETED, BLOCKED): AGAIN,
    (FAILED, WAITING): "`queue()`",
    (FAILED, COMPLETED): "`complete()`",
    (FAILED, BLOCKED): AGAIN,
    (SUSPENDED, WAITING): "`resume()`; `queue()`",
    (SUSPENDED, CANCELLED): "`cancel()`",
    (SUSPENDED, COMPLETED): "`complete()`",
    (CANCELLED, WAITING): "`queue()`",
    (CANCELLED, COMPLETED): "`complete()`",
    (CANCELLED, BLOCKED): AGAIN,
    (EXPIRED, WAITING): "`queue()`",
    (EXPIRED, COMPLETED): "`complete()`",
    (EXPIRED, BLOCKED): AGAIN,
    (BLOCKED, WAITING): "the last job that it waits for has ended; `queue()`, which does not wait for it",
    (BLOCKED, COMPLETED): "`complete()`",
    (BLOCKED, CANCELLED): "`cancel()`",
    (BLOCKED, EXPIRED): "its `expires_at` is past",
}
"""What leads from one status to another."""


_METHOD = re.compile(r"`(\w+\(\))`")


def by_itself() -> set[tuple[JobStatus, JobStatus]]:
    """Return the moves that happen without anybody's call of a method."""
    return {
        move
        for move, causes in CAUSES.items()
        if causes != UNSEEN and any(not _METHOD.match(cause) for cause in causes.split("; "))
    }


def by_hand() -> dict[tuple[str, JobStatus], list[JobStatus]]:
    """Return from which statuses a method of a job leads to which one."""
    found: dict[tuple[str, JobStatus], list[JobStatus]] = {}
    for (old, new), causes in CAUSES.items():
        for method in filter(None, map(_METHOD.match, causes.split("; "))):
            found.setdefault((method[1], new), []).append(old)
    return found


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
