"""Watched connections of psycopg2's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec

import psycopg2
from psycopg2 import extensions
from psycopg2.sql import Composable

from jobcron.database.connecting._session_state import new_transaction
from jobcron.database.connecting._watch import Watched
from jobcron.database.connecting.boundary import Boundary

Query = str | bytes | Composable

Parameters = Sequence[object] | Mapping[str, object] | None

CursorFactory = Callable[[extensions.connection, str | bytes | None], extensions.cursor]

Arguments = ParamSpec("Arguments")

_LEVELS = {
    extensions.ISOLATION_LEVEL_READ_UNCOMMITTED: "READ UNCOMMITTED",
    extensions.ISOLATION_LEVEL_READ_COMMITTED: "READ COMMITTED",
    extensions.ISOLATION_LEVEL_REPEATABLE_READ: "REPEATABLE READ",
    extensions.ISOLATION_LEVEL_SERIALIZABLE: "SERIALIZABLE",
}


class WatchedConnection(Watched, extensions.connection):
    """A connection that knows whether a job has used it.

    Args:
        boundary: counts the ends of jobs.
        dsn: psycopg2's.
    """

    errors = psycopg2.Error
    kept = ("isolation_level", "readonly", "deferrable", "autocommit", "cursor_factory", "client_encoding")

    def __init__(self, boundary: Boundary, dsn: str) -> None:
        extensions.connection.__init__(self, dsn)
        self.watch(boundary)

    # What psycopg2 and SQLAlchemy call.

    def cursor(  # type: ignore[override]
        self,
        name: str | bytes | None = None,
        cursor_factory: CursorFactory | None = None,
        withhold: bool = False,
        scrollable: bool | None = None,
    ) -> extensions.cursor:
        """Return a cursor; one of another class is not watched, so the boundary is passed at once."""
        factory = cursor_factory or self.cursor_factory
        made = super().cursor(name, factory, withhold, scrollable)
        if not isinstance(made, WatchedCursor):
            self.configuring += ";"
            self.pass_boundary()
        return made

    def commit(self) -> None:
        """Commit."""
        self.check_commit()
        super().commit()
        self.has_committed()

    def rollback(self) -> None:
        """Roll back."""
        self.will_roll_back()
        super().rollback()
        self.rests_since = time.monotonic()

    # What `Watched` asks.

    def ask(self, statement: str, parameters: tuple[object, ...] | None = None) -> list[tuple[object, ...]]:
        """Return the rows of the last of some statements, sent by a cursor that is not watched."""
        with extensions.connection.cursor(self, cursor_factory=extensions.cursor) as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def reported(self, name: str) -> str | None:
        """Return a setting that the server reports unasked; None: it does not."""
        return self.get_parameter_status(name)

    def quoted(self, text: str) -> str:
        """Return a text as a literal of SQL."""
        quoted = extensions.QuotedString(text)
        quoted.prepare(self)
        return quoted.getquoted().decode(extensions.encodings[self.encoding])

    @property
    def is_in_transaction(self) -> bool:
        """See `Shared`."""
        return self.info.transaction_status == extensions.TRANSACTION_STATUS_INTRANS

    @property
    def client_encoding(self) -> str:
        """The encoding of the client."""
        return self.encoding

    @client_encoding.setter
    def client_encoding(self, encoding: str) -> None:
        if encoding != self.encoding:
            self.set_client_encoding(encoding)

    @contextmanager
    def without_transaction(self) -> Iterator[None]:
        """Begin no transactions inside the block."""
        level, autocommit = self.isolation_level, self.autocommit
        self.isolation_level = None  # or psycopg2 would send one more statement when it begins them again
        self.autocommit = True
        try:
            yield
        finally:
            if not self.closed:
                self.autocommit, self.isolation_level = autocommit, level

    def is_idle(self) -> bool:
        """Return whether the server is in no transaction, whatever psycopg2 believes."""
        return bool(self.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE)

    def is_between_transactions(self) -> bool:
        """Return whether nothing was sent in the current transaction."""
        if self.autocommit:  # the job may have sent BEGIN itself
            return self.is_idle()
        return bool(self.status == extensions.STATUS_READY)

    def new_transaction(self) -> str:
        """Return what ends the transaction that psycopg2 has begun, and begins it again; empty without one."""
        if self.autocommit:
            return ""
        return new_transaction(_LEVELS.get(self.isolation_level or 0, ""), self.readonly, self.deferrable)


def _apart(
    method: Callable[Concatenate[extensions.cursor, Arguments], None],
) -> Callable[Concatenate[WatchedCursor, Arguments], None]:
    """Let a cursor's method send first, as a statement of its own, what is due."""

    @wraps(method)
    def call(self: WatchedCursor, /, *arguments: Arguments.args, **options: Arguments.kwargs) -> None:
        self.connection.pass_boundary()
        method(self, *arguments, **options)

    return call


class WatchedCursor(extensions.cursor):
    """A cursor that sends what is due at a job's boundary before its own first statement."""

    connection: WatchedConnection

    def execute(self, query: Query, vars: Parameters = None) -> None:
        """Execute a statement."""
        connection = self.connection
        connection.check_statement(query)
        text = connection.due()
        if text:
            if self.name is not None or connection.autocommit:  # it does not go with others in one text
                connection.pass_boundary()
            else:
                query = self._after(text, query, has_parameters=vars is not None)
        connection.is_sending()
        super().execute(query, vars)
        connection.was_sent(text)
        if not connection.is_set_up:
            connection.note_configuring((self.query or b"").decode("ascii", "replace"))

    def _after(self, text: str, query: Query, *, has_parameters: bool) -> Query:
        if has_parameters:
            text = text.replace("%", "%%")
        if isinstance(query, bytes):
            return text.encode(extensions.encodings[self.connection.encoding]) + query
        return text + (query if isinstance(query, str) else query.as_string(self))

    # These take no other statement along.
    executemany = _apart(extensions.cursor.executemany)
    callproc = _apart(extensions.cursor.callproc)
    copy_expert = _apart(extensions.cursor.copy_expert)
    copy_from = _apart(extensions.cursor.copy_from)
    copy_to = _apart(extensions.cursor.copy_to)
