"""Engines and sessions, and what differs between PostgreSQL and SQLite.

`Database` is a database as one role sees it. `AmbientDatabase` looks the same from outside, but works inside
somebody's open session: each of its transactions is a savepoint there (tests).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from jobcron.database._engine import BUSY_SECONDS, IMMEDIATE, make_engine
from jobcron.database.sessions import OwnedSession, job_session_class
from jobcron.database.statements import be_brief
from jobcron.database.trouble import first_line, trouble_of
from jobcron.errors import ConfigurationError, DatabaseUnavailable
from jobcron.settings.sqlalchemy_url import describe_url

COMPANION_SECONDS = 0.25
"""How long one who must not wait long waits for a lock."""


class TransactionSource(Protocol):
    """What the runner needs of a database; `Database` and `AmbientDatabase` have it.

    Attributes:
        dialect: the name of the SQL dialect.
    """

    dialect: str

    @property
    def engine(self) -> Engine | None:
        """The engine, or None inside a transaction of somebody else's."""

    def begin(self, *, writing: bool = True) -> Any:
        """Return a context manager: a short transaction of its own, as a Connection."""

    session_class: type[OwnedSession]
    """Of the sessions of jobs."""

    def session(self) -> OwnedSession:
        """Return a new session for running jobs in."""

    @property
    def where(self) -> str:
        """Which database this is, for messages; without passwords."""

    def companion(self) -> TransactionSource:
        """Return the same database for one who must not wait long."""

    @property
    def is_ambient(self) -> bool:
        """Whether this works inside a transaction of somebody else's."""

    def close(self) -> None:
        """Let go of every connection."""


class Database:
    """A database as one role sees it.

    Args:
        url: as in the configuration.
        user: connect as this role instead of the URL's.
        busy_seconds: see `make_engine`.
        origin: where the URL was read, for messages.
        session_class: of the sessions of jobs.
    """

    is_ambient = False

    def __init__(
        self,
        url: str,
        user: str | None = None,
        busy_seconds: float = BUSY_SECONDS,
        origin: str = "the database's URL",
        session_class: type[Session] = Session,
    ) -> None:
        self.url, self.user = url, user
        self.session_class = job_session_class(session_class)
        self._lock_seconds: float | None = None
        self.origin = origin
        try:
            self.engine: Engine = make_engine(url, user, busy_seconds)
        except ConfigurationError as error:
            raise ConfigurationError(f"{origin}: {error}") from None
        self.dialect = self.engine.dialect.name
        self._writing = self.engine.execution_options(**IMMEDIATE)

    @contextmanager
    def begin(self, *, writing: bool = True) -> Iterator[Connection]:
        """Open a short transaction, committed at the end.

        Args:
            writing: see `session`.

        Raises:
            DatabaseUnavailable: no connection can be made, no transaction begun, or the database goes away, or is
                too busy, in the middle.
        """
        connection = None
        try:
            connection = (self._writing if writing else self.engine).connect()
            transaction = connection.begin()
            if self._lock_seconds is not None:
                be_brief(connection, self._lock_seconds)
        except DBAPIError as error:
            if connection is not None:
                connection.close()
            doing = "connect to" if connection is None else "begin a transaction in"
            raise DatabaseUnavailable(
                f"{self.origin}: cannot {doing} the database {self.describe()}: {first_line(error.orig)}"
            ) from error
        try:
            with transaction:
                yield connection
        except DBAPIError as error:
            kind = trouble_of(error)
            if kind is None:
                raise
            raise DatabaseUnavailable(
                f"{self.origin}: the database {self.describe()} did not do what was asked: {kind.sentence}: "
                f"{first_line(error.orig)}"
            ) from error
        finally:
            connection.close()

    def session(self, *, writing: bool = True) -> OwnedSession:
        """Return a session whose transactions are those of jobs.

        Args:
            writing: on SQLite each transaction takes the write lock when it begins; False: it reads only.

        What is loaded stays loaded after a commit: a job that works outside the database first holds no
        transaction while it does (docs/explanation/life-of-a-job.md). It is read again in the next transaction.
        """
        return self.session_class(self._writing if writing else self.engine, expire_on_commit=False)

    def companion(self) -> Database:
        """Return the same database over a connection of its own, for one who must not wait long."""
        companion = Database(self.url, self.user, busy_seconds=COMPANION_SECONDS)
        companion._lock_seconds = COMPANION_SECONDS
        return companion

    @property
    def where(self) -> str:
        """The database's URL without its passwords, and where it is named."""
        return f"{self.describe()} ({self.origin})"

    def describe(self) -> str:
        """Return the database's URL without its passwords."""
        return describe_url(self.engine.url)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()


class AmbientDatabase:
    """The database inside an open session: every transaction is a savepoint, nothing is committed.

    Args:
        session: the test's own session; it keeps its transaction.
    """

    is_ambient = True
    engine: Engine | None = None
    where = "the database of the session"

    def __init__(self, session: Session) -> None:
        session.flush()
        self.session_class = job_session_class(Session)
        self._connection = session.connection()
        self.dialect = self._connection.dialect.name
        driver = self._connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
            # An engine that is not ours leaves BEGIN to the sqlite3 module, which sends none before a SAVEPOINT:
            # releasing that would commit.
            self._connection.exec_driver_sql("BEGIN")

    @contextmanager
    def begin(self, *, writing: bool = True) -> Iterator[Connection]:
        """Open a savepoint, released at the end."""
        with self._connection.begin_nested():
            yield self._connection

    def session(self) -> OwnedSession:
        """Return a session of its own on the same connection; its commits release savepoints."""
        return self.session_class(
            self._connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )

    def companion(self) -> AmbientDatabase:
        """Return this: no other connection sees what it works in."""
        return self

    def close(self) -> None:
        """Do nothing: the connection is not ours."""
