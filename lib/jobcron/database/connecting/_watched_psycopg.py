"""Watched connections of psycopg's, version 3.

Their cursors put parameters into the text, as psycopg2's do: what is due at a boundary can then travel with the
next statement, and jobcron's own statements mean the same with both drivers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Concatenate, ParamSpec, Self, TypeVar

import psycopg
from psycopg import pq, sql
from psycopg.abc import Params, PQGen
from psycopg.rows import TupleRow

from jobcron.database.connecting._session_state import new_transaction
from jobcron.database.connecting._watch import Watched
from jobcron.database.connecting.boundary import Boundary

Query = str | bytes | sql.SQL | sql.Composed

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

CANCEL_SECONDS = 5.0
"""How long the server's answer is awaited when a signal has ended the wait for a statement."""


class WatchedConnection(Watched, psycopg.Connection[TupleRow]):
    """A connection that knows whether a job has used it; `opened` opens one."""

    errors = psycopg.Error
    kept = (
        "isolation_level",
        "read_only",
        "deferrable",
        "autocommit",
        "prepare_threshold",
        "cursor_factory",
        "row_factory",
    )

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        psycopg.Connection.__init__(self, pgconn)
        self.watch(Boundary())

    @classmethod
    def opened(cls, boundary: Boundary, options: dict[str, object]) -> Self:
        """Open a connection.

        Args:
            boundary: counts the ends of jobs.
            options: psycopg's, by name.
        """
        connection = cls.connect(**options, cursor_factory=WatchedCursor)  # type: ignore[arg-type]
        connection.watch(boundary)
        return connection

    # What psycopg and SQLAlchemy call.

    def cursor(  # type: ignore[override]
        self, *arguments: object, **options: object
    ) -> psycopg.Cursor[TupleRow] | psycopg.ServerCursor[TupleRow]:
        """Return a cursor; one of another class is not watched, so the boundary is passed at once."""
        made: psycopg.Cursor[TupleRow] = super().cursor(*arguments, **options)  # type: ignore[call-overload]
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

    @contextmanager
    def pipeline(self) -> Iterator[psycopg.Pipeline]:
        """Begin a pipeline, in which no text may have several statements: the boundary is passed before."""
        self.pass_boundary()
        with super().pipeline() as pipeline:
            yield pipeline

    def wait(  # type: ignore[override]
        self, gen: PQGen[Result], *arguments: float, **options: float
    ) -> Result:
        """Wait for the server. What ends the wait from outside ends the statement as well."""
        try:
            return super().wait(gen, *arguments, **options)
        except psycopg.Error:
            raise
        except BaseException:  # a job's interruption, raised by a signal: psycopg does so only for Ctrl-C
            if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                with suppress(psycopg.Error):
                    self.cancel_safe(timeout=CANCEL_SECONDS)
                    super().wait(gen, *arguments, **options)  # or the connection would be of no more use
            raise

    # What `Watched` asks.

    def ask(self, statement: str, parameters: tuple[object, ...] | None = None) -> list[tuple[object, ...]]:
        """Return the rows of the last of some statements, sent by a cursor that is not watched."""
        with psycopg.ClientCursor(self) as cursor:
            cursor.execute(statement.encode(), parameters)
            to_last_result(cursor)
            return cursor.fetchall() if cursor.description else []

    def reported(self, name: str) -> str | None:
        """Return a setting that the server reports unasked; None: it does not."""
        return self.info.parameter_status(name)

    @property
    def is_in_transaction(self) -> bool:
        """See `Shared`."""
        return self.info.transaction_status == pq.TransactionStatus.INTRANS

    def quoted(self, text: str) -> str:
        """Return a text as a literal of SQL."""
        return sql.Literal(text).as_string(self).strip()

    @contextmanager
    def without_transaction(self) -> Iterator[None]:
        """Begin no transactions inside the block."""
        autocommit, self.autocommit = self.autocommit, True
        try:
            yield
        finally:
            if self.is_between_transactions():  # else the connection is of no more use
                self.autocommit = autocommit

    def is_idle(self) -> bool:
        """Return whether the server is in no transaction."""
        return self.is_between_transactions()

    def is_between_transactions(self) -> bool:
        """Return whether nothing was sent in the current transaction."""
        return self.info.transaction_status == pq.TransactionStatus.IDLE

    def new_transaction(self) -> str:
        """Return what ends the transaction that psycopg has begun, and begins it again; empty without one."""
        if self.autocommit:
            return ""
        level = "" if self.isolation_level is None else self.isolation_level.name.replace("_", " ")
        return new_transaction(level, self.read_only, self.deferrable)


def _apart(
    method: Callable[Concatenate[psycopg.ClientCursor[TupleRow], Arguments], Result],
) -> Callable[Concatenate[WatchedCursor, Arguments], Result]:
    """Let a cursor's method send first, as a statement of its own, what is due."""

    @wraps(method)
    def call(self: WatchedCursor, /, *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        self.watched().pass_boundary()
        return method(self, *arguments, **options)

    return call


class WatchedCursor(psycopg.ClientCursor[TupleRow]):
    """A cursor that sends what is due at a job's boundary before its own first statement."""

    def execute(  # type: ignore[override]
        self, query: Query, params: Params | None = None, **options: bool | None
    ) -> Self:
        """Execute a statement."""
        connection = self.watched()
        connection.check_statement(query)
        text = connection.due()
        # A text of several statements has several results, and who sends one expects the first.
        goes_along = text and not connection.autocommit and isinstance(query, str) and ";" not in query
        if text and not goes_along:
            connection.pass_boundary()
        connection.is_sending()
        if goes_along and isinstance(query, str):
            first = text.replace("%", "%%") if params is not None else text
            super().execute((first + query).encode(connection.info.encoding), params, **options)
            to_last_result(self)
        else:
            super().execute(query, params, **options)
        connection.was_sent(text)
        if not connection.is_set_up:
            # By another cursor, since it would lose its result.
            connection.note_configuring(psycopg.ClientCursor(connection).mogrify(query, params))
        return self

    # These take no other statement along.
    executemany = _apart(psycopg.ClientCursor.executemany)
    copy = _apart(psycopg.ClientCursor.copy)
    stream = _apart(psycopg.ClientCursor.stream)

    def watched(self) -> WatchedConnection:
        """Return the connection."""
        connection = self.connection
        assert isinstance(connection, WatchedConnection)
        return connection


def to_last_result(cursor: psycopg.Cursor[TupleRow]) -> None:
    """Move a cursor to the result of the last of the statements that it has sent as one text."""
    while cursor.nextset():
        pass
