"""Statements of ours that are sent by the driver alone: they commit themselves, or share a brief transaction.

The connection comes from the engine's pool, past the pool's events, and goes back at once. What a job has left on
it is cleared by the first message. What is not certain to have failed raises, as a COMMIT would: whoever asks has
to find out.
"""

# why: decisions 2026-11-30, a job without a transaction completes by one statement
# why: decisions 2026-12-01, a worker claims by the driver alone

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.pool import ManagesConnection

from jobcron.database.connecting._resting import take
from jobcron.database.connecting._session_state import Forms
from jobcron.database.connecting._watch import Watched
from jobcron.database.connecting.sqlite_file import DatabaseFile
from jobcron.database.statements import schema_of, text_of
from jobcron.database.transactions import try_at_once
from jobcron.database.trouble import of_driver

_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")

Values = Mapping[str, int | None]

Rows = list[tuple[object, ...]]


class Brief(NamedTuple):
    """A brief transaction in PostgreSQL, without SQLAlchemy.

    Attributes:
        send: sends a statement, and returns its rows.
        quoted: returns a text as a literal.
        schema: see `schema_of`.
    """

    send: Callable[[str], Rows]
    quoted: Callable[[str], str]
    schema: str

    def rows(self, name: str, values: Mapping[str, object]) -> Rows:
        """Execute a statement of `jobcron.database.sql`, and return its rows.

        Args:
            name: the statement's.
            values: its parameters: numbers, texts or None.
        """
        parts, names = _parts(name, self.schema)
        literals = {key: self._literal(values[key]) for key in set(names)}
        text = parts.copy()
        text[1::2] = [literals[key] for key in names]
        return self.send("".join(text))

    def _literal(self, value: object) -> str:
        if isinstance(value, str):
            return self.quoted(value)
        return "NULL" if value is None else repr(float(value)) if isinstance(value, float) else _literal(value)


@cache
def _parts(name: str, schema: str) -> tuple[list[str], list[str]]:
    """Return a statement in parts, each second one the name of a parameter, and these names."""
    parts = _PARAMETER.split(" ".join(text_of(name, "postgresql", schema).split()))
    return parts, parts[1::2]


class LoneStatements:
    """Executes statements of `jobcron.database.sql` that commit themselves.

    Args:
        engine: one of ours.
        file: SQLite's file, if the database is one.
    """

    def __init__(self, engine: Engine, file: DatabaseFile | None) -> None:
        self._engine = engine
        self._file = file
        self._known: dict[tuple[str, str], tuple[str, str, str, tuple[str, ...]]] = {}

    def execute(self, name: str, values: Values) -> Rows | None:
        """Execute a statement, and commit it.

        Args:
            name: the statement's.
            values: its parameters.

        Returns:
            The rows that it returns. None: it was certainly not executed, because there is no connection, SQLite's
            lock is taken, or the server refuses; in a transaction it may succeed, or raise the reason.

        Raises:
            DBAPIError: it is unknown whether it was committed.
        """
        try:
            connection, give_back = take(self._engine)
        except Exception:
            return None
        try:
            if isinstance(connection.driver_connection, sqlite3.Connection):
                return self._in_sqlite(connection, name, values)
            return self._in_postgresql(connection, name, values)
        except BaseException:
            connection.invalidate()  # it may be in the middle of anything
            raise
        finally:
            give_back()

    @contextmanager
    def transaction(self) -> Iterator[Brief | None]:
        """Open a brief transaction, and commit it at the end of the block; None: it has to be SQLAlchemy's.

        Raises:
            DBAPIError: a statement failed, or it is unknown whether it was committed.
        """
        try:
            connection, give_back = take(self._engine)
        except Exception:
            yield None
            return
        driver, dialect = connection.driver_connection, self._engine.dialect
        try:
            if not isinstance(driver, Watched) or not driver.is_idle():
                yield None
                return
            try:
                with driver.brief_transaction() as send:
                    yield Brief(send, driver.quoted, schema_of(dialect))
            except driver.errors as error:
                is_lost = dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
                raise of_driver(error, "a brief transaction", dialect, is_lost=is_lost) from error
        except BaseException:
            connection.invalidate()  # it may be in the middle of anything
            raise
        finally:
            give_back()

    def _in_sqlite(self, connection: ManagesConnection, name: str, values: Values) -> Rows | None:
        try:
            if self._file is not None:
                self._file.check_before_commit(connection)
            rows = try_at_once(connection, text_of(name, "sqlite", ""), values)
            if self._file is not None:
                self._file.check()
        except sqlite3.Error as error:
            raise of_driver(error, name, self._engine.dialect) from error
        return rows

    def _in_postgresql(self, connection: ManagesConnection, name: str, values: Values) -> Rows | None:
        driver, dialect = connection.driver_connection, self._engine.dialect
        if not isinstance(driver, Watched) or not driver.is_idle():
            return None  # a job may have left a BEGIN of its own, which the driver does not know
        try:
            return driver.send_alone(self._forms(name, schema_of(dialect), values))
        except driver.errors as error:
            is_lost = dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
            # An error from the server says that it has undone the statement. Without an answer nothing is known.
            if not is_lost and not driver.is_closed and driver.is_between_transactions():
                return None
            raise of_driver(error, name, dialect, is_lost=is_lost) from error

    def _forms(self, name: str, schema: str, values: Values) -> Forms:
        form = self._known.get((name, schema))
        if form is None:
            text = text_of(name, "postgresql", schema)
            names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
            numbered = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", text)
            # The text is part of the name: a pooler may lend one session to several schemas, or releases.
            known_as = f"jobcron_{name}_{sha256(text.encode()).hexdigest()[:16]}"
            form = self._known[name, schema] = (text, known_as, f"PREPARE {known_as} AS {numbered};\n", names)
        text, known_as, prepare, names = form
        literals = {key: _literal(values[key]) for key in names}
        execute = f"EXECUTE {known_as}({', '.join(literals.values())})"
        return Forms(lambda: _PARAMETER.sub(lambda found: literals[found[1]], text), prepare, execute)


def _literal(value: object) -> str:
    assert value is None or isinstance(value, int)
    return "NULL" if value is None else format(int(value), "d")
