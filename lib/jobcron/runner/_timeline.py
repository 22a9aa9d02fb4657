"""What a job asked of its database, for its OOPS report: statements and their times, never their parameters."""

from __future__ import annotations

import time
from collections import deque

from sqlalchemy import Connection, Engine, event

MAX_STATEMENTS = 100
MAX_STATEMENT = 2_000


class Timeline:
    """The last statements of one engine since `clear`.

    Args:
        engine: whose statements are noted; None: none are.
    """

    def __init__(self, engine: Engine | None) -> None:
        self._statements: deque[tuple[float, float, str]] = deque(maxlen=MAX_STATEMENTS)
        self._open: tuple[float, str] | None = None
        self._origin = time.monotonic()
        self._engine = engine
        if engine is not None:
            event.listen(engine, "before_cursor_execute", self._before)
            event.listen(engine, "after_cursor_execute", self._after)

    def close(self) -> None:
        """Note nothing more."""
        if self._engine is not None:
            event.remove(self._engine, "before_cursor_execute", self._before)
            event.remove(self._engine, "after_cursor_execute", self._after)
            self._engine = None

    def clear(self) -> None:
        """Begin anew: times count from now."""
        self._statements.clear()
        self._open = None
        self._origin = time.monotonic()

    def entries(self) -> list[tuple[int, int, str, str]]:
        """Return (start, stop, category, detail), times in milliseconds, as python-oops has them."""
        self._end_statement()  # one that failed, which nothing tells us of
        return [
            (
                round((begun - self._origin) * 1000),
                round((ended - self._origin) * 1000),
                "SQL",
                text[:MAX_STATEMENT],
            )
            for begun, ended, text in self._statements
        ]

    def _before(self, connection: Connection, cursor: object, statement: str, *args: object) -> None:
        self._open = (time.monotonic(), statement)

    def _after(self, connection: Connection, cursor: object, statement: str, *args: object) -> None:
        self._end_statement()

    def _end_statement(self) -> None:
        if self._open is not None:
            begun, statement = self._open
            self._statements.append((begun, time.monotonic(), statement))
            self._open = None
