"""Measure how long statements take in the database's driver: to execute, and to fetch the rows.

psycopg2 has all rows when it has executed. SQLite finds them while they are fetched, so a statement that reads is
performed once more, before itself, and that is measured.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

READING = ("SELECT", "WITH")


class Timed(NamedTuple):
    """A statement, and how long it took."""

    seconds: float
    text: str
    parameters: Any


def best_of(rounds: Sequence[Sequence[Timed]]) -> list[Timed]:
    """Return each statement as it was in its best round, if all rounds have sent the same; else the best round.

    Another process takes the machine away from a statement or two in each round, but seldom from the same.
    """
    if len({tuple(one.text for one in statements) for statements in rounds}) == 1:
        return [min(same, key=lambda one: one.seconds) for same in zip(*rounds, strict=True)]
    return list(min(rounds, key=lambda statements: sum(one.seconds for one in statements)))


class DriverTime:
    """The time that statements of all engines take in the driver, inside the block.

    Attributes:
        statements: each of them: its seconds, its text and its parameters.
    """

    def __init__(self) -> None:
        self.statements: list[Timed] = []
        self._began = 0.0

    @property
    def seconds(self) -> float:
        """Of all of them."""
        return sum(one.seconds for one in self.statements)

    @property
    def slowest(self) -> Timed:
        """The statement that took longest."""
        return max(self.statements, key=lambda one: one.seconds, default=Timed(0.0, "", None))

    def __enter__(self) -> Self:
        event.listen(Engine, "before_cursor_execute", self._before)
        event.listen(Engine, "after_cursor_execute", self._after)
        return self

    def __exit__(self, *error: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._before)
        event.remove(Engine, "after_cursor_execute", self._after)

    def _before(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: object, is_many: bool
    ) -> None:
        self._began = time.perf_counter()
        if _is_read_while_fetched(connection, statement):
            sqlite3.Connection.cursor(cursor.connection, sqlite3.Cursor).execute(statement, parameters).fetchall()
            self._add(statement, parameters)

    def _after(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: object, is_many: bool
    ) -> None:
        if not _is_read_while_fetched(connection, statement):
            self._add(statement, parameters)

    def _add(self, statement: str, parameters: object) -> None:
        self.statements.append(Timed(time.perf_counter() - self._began, statement, parameters))


def _is_read_while_fetched(connection: Connection, statement: str) -> bool:
    text = "\n".join(line for line in statement.splitlines() if not line.startswith("--"))
    return connection.dialect.name == "sqlite" and text.lstrip().upper().startswith(READING)
