"""A job's statements and their times, for its OOPS report; never their parameters."""

from __future__ import annotations

import time
from collections import deque

from sqlalchemy import Connection, Engine, event

MAX_STATEMENTS = 100
MAX_STATEMENT = 2_000


class Timeline:
    """The last statements of one engine since `clear`.

    Args:
        engine: the engine whose statements are recorded; None: none are.
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
        """Stop recording."""
        if self._engine is not None:
            event.remove(self._engine, "before_cursor_execute", self._before)
            event.remove(self._engine, "after_cursor_execute", self._after)
            self._engine = None

    def clear(self) -> None:
        """Start again: times count from now."""
        self._statements.clear()
        self._open = None
        self._origin = time.monotonic()

    @property
    def last(self) -> str:
        """The last statement, or an empty text."""
        return self._statements[-1][2] if self._statements else ""

    def entries(self) -> list[tuple[int, int, str, str]]:
        """Return (start, stop, category, detail) tuples, times in milliseconds, in python-oops' format."""
        self._end_statement()  # a statement that failed causes no event
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
