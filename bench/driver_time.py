"""Measure how long statements take in the database's driver: to execute, and to fetch the rows.

psycopg2 has all rows when it has executed. SQLite finds them while they are fetched, so a statement that reads is
performed once more, before itself, and that is measured.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any, Self

from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

READING = ("SELECT", "WITH")


class DriverTime:
    """The time that statements of all engines take in the driver, inside the block.

    Attributes:
        seconds: of all of them.
        slowest: the statement that took longest: its seconds, its text and its parameters.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slowest: tuple[float, str, Any] = (0.0, "", None)
        self._began = 0.0

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
        seconds = time.perf_counter() - self._began
        self.seconds += seconds
        self.slowest = max(self.slowest, (seconds, statement, parameters), key=lambda found: found[0])


def _is_read_while_fetched(connection: Connection, statement: str) -> bool:
    text = "\n".join(line for line in statement.splitlines() if not line.startswith("--"))
    return connection.dialect.name == "sqlite" and text.lstrip().upper().startswith(READING)
