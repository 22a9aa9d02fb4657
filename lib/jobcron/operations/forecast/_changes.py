"""What a job changes in the database: the rows of its session one by one, other statements by their counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, Table, inspect
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import UpdateBase

ROWS = 200
"""The most rows that are shown; more are only counted."""

STATEMENTS = 50
"""The most statements of text that are shown."""

LENGTH = 200
"""The longest value, and the longest statement, in characters."""

UNKNOWN = "(not loaded)"
EXPRESSION = "(what the database computes)"

_WORD = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(\w+)", re.DOTALL)
_OURS = re.compile(r"\bjobcron_(job|renewal)\b")
_READING = {"select", "values", "show", "explain", "pragma", "savepoint", "release", "rollback", "set", "begin"}


@dataclass(frozen=True)
class ColumnChange:
    """A column of a row that the job changed.

    Attributes:
        column: its name.
        old: the value before; null where the row is new.
        new: the value after; null where the row is deleted.
    """

    column: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class RowChange:
    """A row that the job changed through its session.

    Attributes:
        verb: ``insert``, ``update`` or ``delete``.
        table: the table.
        key: the primary key.
        columns: the columns; of an update those that changed.
    """

    verb: str
    table: str
    key: str
    columns: tuple[ColumnChange, ...]


@dataclass(frozen=True)
class StatementCount:
    """Statements past the session's objects: which rows they changed is not known, only how many.

    Attributes:
        verb: the statement's first word.
        table: the table; null where the statement is a text.
        text: the statement, where it is a text.
        statements: how many there were.
        rows: how many rows they changed, as far as the database told.
    """

    verb: str
    table: str | None
    text: str | None
    statements: int
    rows: int


Values = dict[str, tuple[str | None, str | None]]
Key = tuple[str, str]


class Cursor(Protocol):
    """The driver's cursor after a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed; negative: unknown."""


class Changes:
    """Records what is changed while `is_open`, on one engine and in the sessions that are watched.

    Attributes:
        is_open: whether the job runs now.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._rows: dict[Key, tuple[str, Values]] = {}
        self._counts: Counter[tuple[str, str | None, str | None]] = Counter()
        self._changed: Counter[tuple[str, str | None, str | None]] = Counter()
        self._flushing: list[tuple[str, str, int]] | None = None

    @property
    def more_rows(self) -> int:
        """How many changed rows are not among `rows`."""
        return max(0, len(self._rows) - ROWS)

    def rows(self) -> tuple[RowChange, ...]:
        """Return the changed rows, in the order in which they were changed first."""
        found = []
        for (table, key), (verb, values) in list(self._rows.items())[:ROWS]:
            columns = (ColumnChange(name, *pair) for name, pair in values.items() if pair[0] != pair[1])
            found.append(RowChange(verb, table, key, tuple(columns)))
        return tuple(found)

    def counts(self) -> tuple[StatementCount, ...]:
        """Return the statements that no object of the session stands for."""
        return tuple(
            StatementCount(*what, number, self._changed[what])
            for what, number in self._counts.most_common(STATEMENTS)
        )

    # Listeners.

    def flush_begins(self, session: Session, context: object, instances: object) -> None:
        """Note that the statements that follow are those of objects."""
        self._flushing = []

    def flushed(self, session: Session, context: object) -> None:
        """Record the rows that were written; what else it wrote, such as a secondary table's, is counted."""
        seen, self._flushing = self._flushing or [], None
        if not self.is_open:
            return
        groups = (("insert", session.new), ("update", session.dirty), ("delete", session.deleted))
        tables = set()
        for verb, rows in groups:
            for row in rows:
                state: InstanceState[object] = inspect(row)
                tables |= {table.name for table in state.mapper.tables if isinstance(table, Table)}
                self._note(verb, state)
        for verb, table, number in seen:
            if table not in tables:
                self._count((verb, table, None), number)

    def executed(
        self,
        connection: Connection,
        cursor: Cursor,
        statement: str,
        parameters: object,
        context: ExecutionContext | None,
        executemany: bool,
    ) -> None:
        """Count a statement that writes."""
        if not self.is_open:
            return
        number = max(0, cursor.rowcount)
        compiled = None if context is None else context.compiled
        clause = None if compiled is None else compiled.statement
        if isinstance(clause, UpdateBase):
            verb, table = clause.__visit_name__, str(clause.table.description)
            if self._flushing is not None:
                self._flushing.append((verb, table, number))
            else:
                self._count((verb, table, None), number)
            return
        word = _WORD.match(statement)
        verb = word[1].lower() if word else ""
        if verb not in _READING and not (clause is not None and _OURS.search(statement)):
            self._count((verb, None, " ".join(statement.split())[:LENGTH]), number)

    def _count(self, what: tuple[str, str | None, str | None], rows: int) -> None:
        self._counts[what] += 1
        self._changed[what] += rows

    def _note(self, verb: str, state: InstanceState[object]) -> None:
        values = dict(_values(verb, state))
        if verb == "update" and not values:
            return
        identity = state.identity or state.mapper.primary_key_from_instance(state.object)
        key = (str(state.mapper.local_table.description), ", ".join(map(_text, identity)))
        before = self._rows.get(key)
        if before is None:
            self._rows[key] = (verb, values)
            return
        first, merged = before
        for name, (old, new) in values.items():
            merged[name] = (merged[name][0] if name in merged else old, new)
        if first == "insert" and verb == "delete":
            del self._rows[key]  # as if it had never been
        else:
            self._rows[key] = (verb if verb == "delete" else first, merged)


def _values(verb: str, state: InstanceState[object]) -> Iterator[tuple[str, tuple[str | None, str | None]]]:
    for column in state.mapper.column_attrs:
        loaded = state.dict.get(column.key, UNKNOWN)
        if verb == "insert":
            if loaded is not UNKNOWN and loaded is not None:
                yield column.key, (None, _text(loaded))
        elif verb == "delete":
            yield column.key, (_text(loaded), None)
        else:
            history = state.attrs[column.key].history
            if history.has_changes():
                old = _text(history.deleted[0]) if history.deleted else UNKNOWN
                yield column.key, (old, _text(history.added[0]) if history.added else None)


def _text(value: object) -> str:
    """Return a value as a text, whatever its own `repr` does."""
    if isinstance(value, ClauseElement):
        return EXPRESSION
    try:
        text = value if isinstance(value, str) and value is UNKNOWN else repr(value)
    except Exception as error:
        text = f"({type(value).__name__}, whose repr raised {type(error).__name__})"
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"
