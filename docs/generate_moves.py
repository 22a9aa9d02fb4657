"""Generate the parts of the reference about a job's life: statuses, moves of status, events."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from generate_text import Incomplete, same, subclasses, table

import jobcron
from jobcron.interfaces import JobStatus
from jobcron.jobs.status import MOVES
from jobcron.queue import outcome

PACKAGE = Path(jobcron.__file__).parent

W, R, C, F, S, X, E, B = JobStatus

CAUSES = {
    (W, R): "a claim; `start()`",
    (W, S): "`suspend()`",
    (W, X): "`cancel()`",
    (W, E): "its `expires_at` is past",
    (W, C): "`complete()`",
    (R, R): "its process died, and another run takes the job over",
    (R, W): "a retry; an interruption; it was released before it started; `queue()`",
    (R, C): "it returned, and its work was committed; `complete()`",
    (R, F): "it raised an error, or exceeded its time limit, or its process died too often; `fail()`",
    (R, S): "it raised `SuspendJobException`; `suspend()`",
    (R, X): "`cancel()`; it should wait again, but another job with its key is already waiting",
    (C, W): "`queue()`",
    (F, W): "`queue()`",
    (F, C): "`complete()`",
    (S, W): "`resume()`; `queue()`",
    (S, X): "`cancel()`",
    (S, C): "`complete()`",
    (X, W): "`queue()`",
    (X, C): "`complete()`",
    (E, W): "`queue()`",
    (E, C): "`complete()`",
    (B, W): "nothing yet",
    (B, X): "`cancel()`",
    (B, E): "nothing yet",
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
            if connection.execute(f"SELECT {rule}", values).fetchone()[0] and (old is not new or old is R):
                allowed.add((old, new))
    connection.close()
    return allowed


def moves() -> str:
    """Return every move of status, with what leads to it."""
    by_hand = {(old, new) for old, several in MOVES.items() for new in several}
    same("moves", by_hand | {(R, R)}, set(CAUSES))
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


# Events

KINDS = {
    "completed": "`complete()` by hand. Plain success leaves no event.",
    "failed": "The attempt ended in an error; `oops_id` names the report. Or `fail()` by hand.",
    "user error": "The attempt ended in one of `user_error_types`.",
    "retry": "The attempt ended in an error that is retried.",
    "suspended": "The job raised `SuspendJobException`. Or `suspend()` by hand.",
    "cancelled": "`cancel()`; `detail` has the previous status.",
    "interrupted": "The run was stopped, or the database was in trouble (`detail`). The attempt does not count.",
    "stopping": "The process of a job of several tasks was asked to end; it ends after the task.",
    "superseded": "The job should wait again, but another job with its key is already waiting: it is CANCELLED.",
    "taken over": "The lease had expired, because the process of the previous attempt died. A new attempt starts.",
    "expired": "The job did not start before its `expires_at`.",
    "requeued": "`queue()`; `detail` has the previous counts.",
    "resumed": "`resume()`; `detail` has the previous counts.",
}

NOT_WRITTEN = {"given back", "lease lost"}
"""Kinds of outcomes that leave no event: a job that was not started, a row that is not ours."""

RECORDERS = {"record": 2, "record_all": 2, "_note": 0, "_requeue": 0, "_move": 2}
"""The functions that write events, or hand a kind on to one; the place of the kind among their arguments."""


class Call(NamedTuple):
    """A call, and the function in which it stands."""

    node: ast.Call
    inside: str
    path: Path


def calls(folder: Path) -> Iterator[Call]:
    """Iterate over all calls in the modules of a folder."""
    for path in sorted(folder.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Call):
                        yield Call(node, function.name, path)


def event_kinds(folder: Path = PACKAGE) -> set[str]:
    """Return every kind of event that the code can write.

    Raises:
        Incomplete: a kind cannot be told from the source, or events are written past the known functions.
    """
    found: set[str] = set()
    for node, inside, path in calls(folder):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        where = f"{path}, line {node.lineno}"
        if name == "insert" and inside not in RECORDERS and "Event" in map(ast.unparse, node.args):
            raise Incomplete(f"{where}: writes an event, and is none of {', '.join(RECORDERS)}")
        if name not in RECORDERS:
            continue
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        kind = named["kind"] if "kind" in named else node.args[RECORDERS[name]]
        if isinstance(kind, ast.Constant):
            found |= {kind.value} if isinstance(kind.value, str) else set()  # None: the caller writes it
        elif isinstance(kind, ast.Attribute) and kind.attr == "kind":
            found |= {o.kind for o in subclasses(outcome.Outcome)}
        elif not (isinstance(kind, ast.Name) and inside in RECORDERS):
            raise Incomplete(f"{where}: the kind of an event cannot be told: {ast.unparse(kind)}")
    return found - NOT_WRITTEN


def events() -> str:
    """Return every kind of event."""
    same("events", event_kinds(), set(KINDS))
    return table(["kind", "what happened"], [[f"`{kind}`", text] for kind, text in KINDS.items()])
