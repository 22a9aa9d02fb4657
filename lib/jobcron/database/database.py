"""Databases: engines and sessions, and the differences between PostgreSQL and SQLite.

`Database` is a database as one role sees it. `AmbientDatabase` has the same interface, but works inside an open
session, as in tests: each of its transactions is a savepoint there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from jobcron.database.connecting.alone import Brief, LoneStatements, Rows
from jobcron.database.connecting.boundary import Boundary
from jobcron.database.connecting.engine import leave, make_engine
from jobcron.database.connecting.sqlite_file import DatabaseFile, file_of
from jobcron.database.sessions import OwnedSession, is_untouched, job_session_class, may_write_at_commit
from jobcron.database.statements import be_brief
from jobcron.database.transactions import BUSY_SECONDS, READING
from jobcron.database.trouble import first_line, reason_of, trouble_of, unavailable
from jobcron.errors import ConfigurationError
from jobcron.settings.database_url import trouble_of_file
from jobcron.settings.sqlalchemy_url import describe_url, parse_url

COMPANION_SECONDS = 0.25
"""How long a companion waits for a lock, in seconds."""

KEPT_SETTINGS = "role", "search_path", "TimeZone"
"""What is put back on a test's connection after each job."""


class TransactionSource(Protocol):
    """A database as the runner needs it: a `Database` or an `AmbientDatabase`.

    Attributes:
        dialect: the name of the SQL dialect.
    """

    dialect: str

    @property
    def engine(self) -> Engine | None:
        """The engine, or None inside another session's transaction."""

    def begin(self, *, writing: bool = True) -> AbstractContextManager[Connection]:
        """Return a context manager for a short transaction, whose value is the Connection."""

    session_class: type[OwnedSession]
    """The class of jobs' sessions."""

    def session(self, *, writing: bool = True) -> OwnedSession:
        """Return a new session in which jobs run; or one that only reads, and takes no lock on SQLite."""

    @property
    def connections_taken(self) -> int:
        """How often a connection was taken from the pool; inside another session's transaction never."""

    @property
    def where(self) -> str:
        """The name of this database for messages, without passwords."""

    def companion(self) -> TransactionSource:
        """Return the same database with short waits for locks, for the keeper and the like."""

    @property
    def is_ambient(self) -> bool:
        """Whether this works inside another session's transaction."""

    def leave(self, session: Session) -> None:
        """Put back what a job left on its session's connection, together with the next statement, its last."""

    def execute_alone(self, session: Session, name: str, values: Mapping[str, int | None]) -> Rows | None:
        """Execute a statement of ours that commits itself, in place of a transaction of an untouched session.

        Args:
            session: the one in whose next transaction the statement would be.
            name, values: see `jobcron.database.connecting.alone`.

        Returns:
            The rows that it returns. None: it was not executed, and has to be in a transaction.

        Raises:
            DBAPIError: it is unknown whether it was committed.
        """

    def brief(self, session: Session) -> AbstractContextManager[Brief | None]:
        """Open a brief transaction, in place of one of an untouched session; None: it has to be that."""

    def job_ended(self) -> None:
        """Record that a job's code has ended: whatever it left on a connection does not reach the next."""

    def close(self) -> None:
        """Close every connection."""


class Database:
    """A database as one role sees it.

    Args:
        url: the URL, as in the configuration.
        user: connect as this role instead of the URL's.
        busy_seconds: see `make_engine`.
        origin: where the URL was read, for messages.
        session_class: the class of the sessions in which jobs run.
        file: SQLite's file, if another `Database` has opened it already.

    Attributes:
        engine: the engine; applications may use it too. On SQLite its transactions begin with the write lock.
        reading: the same engine for transactions that only read. On SQLite they do not take the write lock.
    """

    is_ambient = False

    def __init__(
        self,
        url: str,
        user: str | None = None,
        busy_seconds: float = BUSY_SECONDS,
        origin: str = "the database's URL",
        session_class: type[Session] = Session,
        file: DatabaseFile | None = None,
    ) -> None:
        self.url, self.user = url, user
        self.session_class = job_session_class(session_class)
        self._lock_seconds: float | None = None
        self._boundary = Boundary()
        self.origin = origin
        try:
            self._file = file or file_of(parse_url(url))
            self.engine: Engine = make_engine(url, user, busy_seconds, self._boundary, self._file)
        except ConfigurationError as error:
            raise ConfigurationError(f"{origin}: {error}") from None
        self._alone = LoneStatements(self.engine, self._file)
        self.dialect = self.engine.dialect.name
        self.reading = self.engine.execution_options(**READING)

    @contextmanager
    def begin(self, *, writing: bool = True) -> Iterator[Connection]:
        """Open a short transaction; commit it at the end.

        Args:
            writing: see `session`.

        Raises:
            ConfigurationError: the database cannot be used as it is.
            DatabaseUnavailable: connecting or beginning fails, or the database becomes unavailable or too busy
                before the end.
            DatabaseUnusable: it was replaced, or is damaged.
        """
        connection = None
        try:
            connection = (self.engine if writing else self.reading).connect()
            transaction = connection.begin()
            if self._lock_seconds is not None:
                be_brief(connection, self._lock_seconds)
        except ConfigurationError as error:  # of the connection's set-up
            raise ConfigurationError(f"{self.origin}: {self.describe()}: {error}") from None
        except DBAPIError as error:
            if connection is not None:
                connection.close()
            doing = "connect to" if connection is None else "begin a transaction in"
            message = f"{self.origin}: cannot {doing} the database {self.describe()}: {first_line(error.orig)}"
            message += trouble_of_file(self.url)
            raise unavailable(message, error) from error
        try:
            with transaction:
                yield connection
        except DBAPIError as error:
            kind = trouble_of(error)
            if kind is None:
                raise
            message = f"{self.origin}: the database {self.describe()} did not do what was asked: {kind.sentence}: "
            raise unavailable(message + (reason_of(error) or first_line(error.orig)), error) from error
        finally:
            connection.close()

    def session(self, *, writing: bool = True) -> OwnedSession:
        """Return a new session in which jobs run.

        Args:
            writing: whether each transaction takes the write lock when it begins, on SQLite; False: it only
                reads.

        Loaded objects stay loaded after a commit, so that a job that first works outside the database holds no
        transaction meanwhile (docs/explanation/life-of-a-job.md). They are read again in the next transaction.
        """
        return self.session_class(self.engine if writing else self.reading, expire_on_commit=False)

    @property
    def connections_taken(self) -> int:
        """How often a connection was taken from the pool."""
        return self._boundary.taken

    def companion(self) -> Database:
        """Return the same database over its own connections, with short waits for locks."""
        companion = Database(self.url, self.user, busy_seconds=COMPANION_SECONDS, file=self._file)
        companion._lock_seconds = COMPANION_SECONDS
        return companion

    @property
    def where(self) -> str:
        """The database's URL without its passwords, and the place of its configuration."""
        return f"{self.describe()} ({self.origin})"

    def describe(self) -> str:
        """Return the database's URL without its passwords."""
        return describe_url(self.engine.url)

    def leave(self, session: Session) -> None:
        """Put back what a job left on its session's connection, together with the next statement, its last."""
        if not may_write_at_commit(session):  # that is still the job's, under its settings
            leave(session.connection())

    def execute_alone(self, session: Session, name: str, values: Mapping[str, int | None]) -> Rows | None:
        """See `TransactionSource`."""
        return self._alone.execute(name, values) if is_untouched(session) else None

    def brief(self, session: Session) -> AbstractContextManager[Brief | None]:
        """See `TransactionSource`."""
        is_so = self.dialect == "postgresql" and is_untouched(session)
        return self._alone.transaction() if is_so else nullcontext()

    def job_ended(self) -> None:
        """Record that a job's code has ended: whatever it left on a connection does not reach the next."""
        self._boundary.job_ended()

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()


class AmbientDatabase:
    """A database inside an open session: every transaction is a savepoint, and nothing is committed.

    Args:
        session: the test's session; its transaction stays open.
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
            # Engines other than ours leave BEGIN to the sqlite3 module, which sends none before a SAVEPOINT:
            # its release would commit.
            self._connection.exec_driver_sql("BEGIN")
        self._settings: dict[str, str] = {}
        if self.dialect == "postgresql":
            asked = ", ".join(f"current_setting('{name}')" for name in KEPT_SETTINGS)
            values = self._connection.exec_driver_sql(f"SELECT {asked}").one()
            self._settings = dict(zip(KEPT_SETTINGS, values, strict=True))

    @contextmanager
    def begin(self, *, writing: bool = True) -> Iterator[Connection]:
        """Open a savepoint; release it at the end."""
        with self._connection.begin_nested():
            yield self._connection

    connections_taken = 0

    def session(self, *, writing: bool = True) -> OwnedSession:
        """Return a separate session on the same connection; its commits release savepoints."""
        # why: decisions 2026-11-22, a test's runner has a session of its own
        return self.session_class(
            self._connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )

    def companion(self) -> AmbientDatabase:
        """Return this database: no other connection sees its transaction."""
        return self

    def leave(self, session: Session) -> None:
        """Put back what a job has most likely left on the test's connection."""
        if self._settings:
            put_back = select(*(func.set_config(name, value, False) for name, value in self._settings.items()))
            session.connection().execute(put_back)

    def execute_alone(self, session: Session, name: str, values: Mapping[str, int | None]) -> None:
        """Do nothing: no statement here commits itself."""

    def brief(self, session: Session) -> AbstractContextManager[None]:
        """Do nothing: there is one transaction."""
        return nullcontext()

    def job_ended(self) -> None:
        """Do nothing: what a failed job left is undone with its savepoint."""

    def close(self) -> None:
        """Do nothing: the connection is not ours."""
