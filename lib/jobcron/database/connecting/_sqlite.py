"""Connections to SQLite that note what a job leaves on them; the next job then gets a new one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Literal, Self

from jobcron.database.connecting.boundary import Boundary
from jobcron.database.connecting.sharing import Shared

_LASTING = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/|;)*(?:PRAGMA|ATTACH|DETACH|(CREATE))\b", re.IGNORECASE | re.DOTALL
)
"""The beginning of a statement whose effect may last as long as the connection, and is not in the file."""

_TEMPORARY = re.compile(r"\bCREATE\s[^(]*?\bTEMP(?:ORARY)?\b", re.IGNORECASE)
"""What makes it last, of those that create something."""

_COMMENT = re.compile(
    r"""("[^"]*"|'[^']*'|`[^`]*`|\[[^\]]*\])|--[^\n]*|/\*.*?(?:\*/|\Z)""",
    re.DOTALL,
)
"""A comment, or something in quotes, where there are none."""

_NAME_OF_OURS = r"[\"'`\[]?(jobcron_\w+)"

_IN_PLACE_OF_OURS = re.compile(
    r"\bCREATE\s+(?:TEMP(?:ORARY)?\s+)?(?:TABLE|VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    rf"(?:[\"'`\[]?temp[\"'`\]]?\s*\.\s*)?{_NAME_OF_OURS}",
    re.IGNORECASE,
)
"""The beginning of a statement that makes a temporary table of the name of one of ours; for `_TEMPORARY` ones."""

_TRIGGER_ON_OURS = re.compile(
    rf"\bTRIGGER\b.*?\bON\s+(?:[\"'`\[]?main[\"'`\]]?\s*\.\s*)?{_NAME_OF_OURS}", re.IGNORECASE | re.DOTALL
)
"""What makes a trigger on one of ours; for `_TEMPORARY` ones."""


class WatchedConnection(Shared, sqlite3.Connection):
    """A connection that knows whether something was left on it.

    Attributes:
        is_changed: whether something was done to it whose effect lasts.
        passed: how many jobs had ended when it was last taken from the pool; None: it was not taken yet.
    """

    is_changed = False
    passed: int | None = None

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute; those of the module itself, such as ``row_factory``, last."""
        if hasattr(sqlite3.Connection, name):
            object.__setattr__(self, "is_changed", True)
        object.__setattr__(self, name, value)

    @property
    def is_marked(self) -> bool:
        """See `Shared`."""
        return self.is_changed and not self._was_changed

    @property
    def is_in_transaction(self) -> bool:
        """See `Shared`."""
        return self.in_transaction

    def begin_sharing(self) -> None:
        """See `Shared`."""
        super().begin_sharing()
        self._was_changed = self.is_changed

    def check_statement(self, statement: object) -> None:
        """See `Shared`: after ``INSERT OR ROLLBACK`` the next statement would commit itself."""
        super().check_statement(statement)
        if self.is_shared and not self.in_transaction:
            self.refuse("ended the transaction")

    def commit(self) -> None:
        """Commit."""
        self.check_commit()
        super().commit()

    def rollback(self) -> None:
        """Roll back."""
        self.note_rollback()
        super().rollback()

    def __exit__(self, kind: object, error: object, trace: object) -> Literal[False]:
        """Commit or roll back at the end of ``with connection:``; the module's own calls neither method."""
        if kind is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except sqlite3.Error:
            self.rollback()
            raise
        return False

    def cursor(  # type: ignore[override]
        self, factory: Callable[[sqlite3.Connection], sqlite3.Cursor] | None = None
    ) -> sqlite3.Cursor:
        """Return a cursor."""
        return super().cursor(WatchedCursor if factory is None else factory)

    # The module's own methods make cursors of their own class.
    def execute(  # type: ignore[override]
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = (), /
    ) -> sqlite3.Cursor:
        """Execute a statement with a cursor of ours."""
        return self.cursor().execute(sql, parameters)

    def executemany(  # type: ignore[override]
        self, sql: str, parameters: Iterable[Sequence[object] | Mapping[str, object]], /
    ) -> sqlite3.Cursor:
        """Execute a statement with each of several sets of values, with a cursor of ours."""
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        """Execute several statements with a cursor of ours."""
        return self.cursor().executescript(sql_script)


def _noting(name: str) -> Callable[..., object]:
    method: Callable[..., object] = getattr(sqlite3.Connection, name)

    @wraps(method)
    def call(self: WatchedConnection, *arguments: object, **options: object) -> object:
        self.is_changed = True
        return method(self, *arguments, **options)

    return call


for _name in (
    "create_function", "create_aggregate", "create_window_function", "create_collation", "set_authorizer",
    "set_progress_handler", "set_trace_callback", "enable_load_extension", "load_extension", "setlimit",
    "setconfig", "deserialize",
):  # fmt: skip
    if hasattr(sqlite3.Connection, _name):
        setattr(WatchedConnection, _name, _noting(_name))


class WatchedCursor(sqlite3.Cursor):
    """A cursor that notes statements with a lasting effect on the connection."""

    connection: WatchedConnection

    def execute(  # type: ignore[override]
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = (), /
    ) -> Self:
        """Execute a statement."""
        self.connection.check_statement(sql)
        lasting = _LASTING.match(sql)
        if lasting and (not lasting[1] or _is_temporary(sql)):
            self.connection.is_changed = True
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[object] | Mapping[str, object]], /) -> Self:  # type: ignore[override]
        """Execute a statement with each of several sets of values."""
        self.connection.check_statement(sql)
        return super().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        """Execute several statements, whatever they are."""
        if self.connection.is_shared:
            self.connection.refuse("sent a script, which commits")
        _is_temporary(sql_script)
        self.connection.is_changed = True
        return super().executescript(sql_script)


def _is_temporary(statement: str) -> bool:
    """Return whether a statement makes something temporary; refuse what would stand in for ours, or change it.

    SQLite would take a temporary table of the name of one of ours for ours, also at a job's end, and a temporary
    trigger could undo what is written there.

    Raises:
        sqlite3.OperationalError: there is one in the statement.
    """
    plain = _COMMENT.sub(lambda found: found[1] or " ", statement)
    if not _TEMPORARY.search(plain):
        return False
    if found := _IN_PLACE_OF_OURS.search(plain):
        raise sqlite3.OperationalError(
            f"expected another name for a temporary table, got {found[1]}: it would take the place of "
            "jobcron's own"
        )
    if found := _TRIGGER_ON_OURS.search(plain):
        raise sqlite3.OperationalError(
            f"expected a temporary trigger on another table, got one on {found[1]}, which is jobcron's own"
        )
    return True


def note_use(boundary: Boundary, connection: WatchedConnection, record: object, proxy: object) -> None:
    """Note when a connection is taken from the pool; what was left on it before its first use is meant to stay."""
    if connection.passed is None:
        connection.is_changed = False
    connection.passed = boundary.passed


def is_fit(boundary: Boundary, connection: WatchedConnection) -> bool:
    """Return whether a connection from the pool may be used: nothing of a job that has ended is left on it."""
    return not connection.is_changed or connection.passed == boundary.passed
