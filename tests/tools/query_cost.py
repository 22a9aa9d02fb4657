"""Measure how many rows a statement reads: by PostgreSQL's plans, and by the steps of SQLite's virtual machine.

Tests compare the figures for tables of different sizes: unlike seconds, they do not depend on the machine.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2
from sqlalchemy import Engine, event

from jobcron.database.sql import statement
from jobcron.settings.database_url import libpq_url

if TYPE_CHECKING:
    from instances import Instance

ROWS_OF_A_PAGE = 100


@contextmanager
def noted_statements() -> Iterator[list[tuple[str, Any]]]:
    """Record every statement that this process sends in the block, with its parameters."""
    noted: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, text: str, parameters: Any, *rest: Any) -> None:
        noted.append((text, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def rows_read(plan: dict[str, Any]) -> float:
    """Return how many rows the nodes of a plan have read or thrown away."""
    own = plan["Actual Rows"] + sum(v for k, v in plan.items() if k.startswith("Rows Removed by"))
    return float(own * plan["Actual Loops"]) + sum(rows_read(p) for p in plan.get("Plans", []))


def pages_read(plan: dict[str, Any]) -> float:
    """Return how many pages the scans of a plan have read."""
    scans = "Index Name" in plan or plan["Node Type"] == "Seq Scan"
    own = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] if scans else 0
    return float(own) + sum(pages_read(p) for p in plan.get("Plans", []))


def statement_cost(instance: Instance, name: str, **parameters: Any) -> float:
    """Execute one of our named statements, roll it back, and return about how many rows it read.

    Args:
        instance: whose database it is.
        name: the statement; with those of its parts behind it that it is to have: ``claim_limited+lanes``.
        parameters: the statement's.
    """
    name, *parts = name.split("+")
    text = statement(name, instance.database.dialect, frozenset(parts) or None)
    if instance.database.dialect == "postgresql":
        text = re.sub(r"(?<!:):(\w+)", r"%(\1)s", text)
    return cost_of(instance, text, parameters)


def cost_of(instance: Instance, text: str, parameters: Any) -> float:
    """Execute a statement as the driver gets it, roll it back, and return about how many rows it read."""
    if instance.database.dialect == "sqlite":
        with sqlite3.connect(instance.url.removeprefix("sqlite:///"), isolation_level=None) as sqlite:
            steps = [0]

            def count() -> int:
                steps[0] += 1
                return 0

            sqlite.execute("BEGIN")
            sqlite.set_progress_handler(count, 10)  # one row takes ten steps of SQLite's machine, or more
            sqlite.execute(text, parameters).fetchall()
            sqlite.set_progress_handler(None, 0)
            sqlite.execute("ROLLBACK")
        sqlite.close()
        return float(steps[0])
    connection = psycopg2.connect(libpq_url(instance.url))
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", parameters)
            (plan,) = cursor.fetchone() or ("",)
    finally:
        connection.rollback()
        connection.close()
    top = (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]
    # What an index scan passes over is in its pages alone: about ROWS_OF_A_PAGE entries in each.
    return max(rows_read(top), ROWS_OF_A_PAGE * pages_read(top))
