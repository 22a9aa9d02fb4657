"""Engines and sessions, and what differs between PostgreSQL and SQLite.

`Database` is a database as one role sees it. `AmbientDatabase` looks the same from outside, but works inside
somebody's open session: each of its transactions is a savepoint there (tests).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Protocol

from sqlalchemy import Connection, CursorResult, Engine, TextClause, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session

from jobcron.connecting import CONNECT_ARGUMENTS, SERVERS_END
from jobcron.errors import ConfigurationError, DatabaseUnavailable
from jobcron.redact import is_secret
from jobcron.sql import statement
from jobcron.trouble import first_line, mark_interruption, trouble_of

IMMEDIATE = {"jobcron_begin": "IMMEDIATE"}
"""Execution options of transactions that will write. On SQLite they take the write lock when they begin:
a transaction that has read and then wants to write fails at once when anybody has committed in between."""

BUSY_SECONDS = 30.0
"""How long a statement waits for SQLite's write lock."""

COMPANION_SECONDS = 0.25
"""How long one who must not wait long waits for a lock."""

STOPPED_SECONDS = 10.0
"""How long the server waits for the next statement of a short transaction of ours, whose process was stopped."""

_PLAIN_NAMES = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}


def parse_url(url: str, user: str | None = None) -> URL:
    """Return the URL of a database, with the driver that we use and, where given, another user.

    The URL's password belongs to the URL's user, so it is dropped for another one, wherever the URL has the two:
    the password of a role comes by libpq's means (``.pgpass``, a service file, peer authentication).

    Raises:
        ConfigurationError: not a URL, or of a database that we do not know.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "expected database_url to be a URL such as sqlite:////var/lib/app/app.db or "
            "postgresql://user@host/database, got something that cannot be read as one"
        ) from None  # the cause may quote the password
    parsed = parsed.set(drivername=_PLAIN_NAMES.get(parsed.drivername, parsed.drivername))
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg2"):
        raise ConfigurationError(
            f"expected database_url to name sqlite or postgresql (psycopg2), got {parsed.drivername!r}"
        )
    if "@" in (parsed.host or ""):  # the end of the password would be shown as part of the host
        raise ConfigurationError("expected database_url to have one @, before the host; in a password it is %40")
    if user and parsed.get_backend_name() == "postgresql":
        query = {key: value for key, value in parsed.query.items() if key not in ("user", "password")}
        parsed = URL.create(parsed.drivername, user, None, parsed.host, parsed.port, parsed.database, query)
    return parsed


def has_password(url: URL) -> bool:
    """Tell whether a database's URL has a password, wherever."""
    return bool(url.password) or any(map(is_secret, url.query))


def describe_url(url: URL) -> str:
    """Return a database's URL without its passwords."""
    shown = url.difference_update_query([key for key in url.query if is_secret(key)])
    return shown.render_as_string(hide_password=True)


def make_engine(url: str, user: str | None = None, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine with our settings for the database: see the module's text.

    Args:
        url: the database's.
        user: connect as this role instead of the URL's.
        busy_seconds: how long a statement waits for SQLite's write lock.

    Raises:
        ConfigurationError: see `parse_url`.
    """
    parsed = parse_url(url, user)
    # hide_parameters: the text of an SQL error reaches logs and reports, a job's data must not.
    options: dict[str, Any] = {"hide_parameters": True}
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": busy_seconds}, **options)
        event.listen(engine, "do_connect", _make_private)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _note_mode)
        # Not in the event itself: after an error there SQLAlchemy would go on without any transaction.
        engine.dialect.do_begin = _begin_sqlite  # type: ignore[method-assign, assignment]
    else:
        arguments = {"application_name": "jobcron", **CONNECT_ARGUMENTS}
        engine = create_engine(
            parsed,
            isolation_level="READ COMMITTED",
            pool_size=2,
            connect_args={k: v for k, v in arguments.items() if k not in parsed.query},
            **options,
        )
        event.listen(engine, "connect", _set_up_postgresql)
    event.listen(engine, "handle_error", mark_interruption)
    return engine


def _make_private(dialect: object, record: object, arguments: list[Any], keywords: object) -> None:
    """Make the database's file where there is none, for its user alone: SQLite would leave that to the umask."""
    path = str(arguments[0])
    if path and not path.startswith((":", "file:")):
        with suppress(OSError):  # it is there; or SQLite says why it cannot be
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def _set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours to send: see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _set_up_postgresql(connection: Any, record: object) -> None:
    autocommit, connection.autocommit = connection.autocommit, True  # one round trip
    with connection.cursor() as cursor:
        cursor.execute(SERVERS_END)
    connection.autocommit = autocommit


def _note_mode(connection: Connection) -> None:
    """Leave word for `_begin_sqlite` of how the transaction is to begin."""
    connection.connection.info["jobcron_begin"] = connection.get_execution_options().get(
        "jobcron_begin", "DEFERRED"
    )


def _begin_sqlite(connection: Any) -> None:
    connection.execute(f"BEGIN {connection.info['jobcron_begin']}")


class TransactionSource(Protocol):
    """What the runner needs of a database; `Database` and `AmbientDatabase` have it."""

    dialect: str

    def begin(self, *, writing: bool = True) -> Any:
        """Return a context manager: a short transaction of its own, as a Connection."""

    def session(self) -> Session:
        """Return a new session for running jobs in."""

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
        self._session_class = session_class
        self._lock_seconds: float | None = None
        self.origin = origin
        try:
            self.engine = make_engine(url, user, busy_seconds)
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
            reason = trouble_of(error)
            if reason is None:
                raise
            raise DatabaseUnavailable(
                f"{self.origin}: the database {self.describe()} did not do what was asked: {reason}: "
                f"{first_line(error.orig)}"
            ) from error
        finally:
            connection.close()

    def session(self, *, writing: bool = True) -> Session:
        """Return a session whose transactions are those of jobs.

        Args:
            writing: on SQLite each transaction takes the write lock when it begins; False: it reads only.

        What is loaded stays loaded after a commit: a job that works outside the database first holds no
        transaction while it does (docs/explanation/life-of-a-job.md).
        """
        return self._session_class(self._writing if writing else self.engine, expire_on_commit=False)

    def companion(self) -> Database:
        """Return the same database over a connection of its own, for one who must not wait long."""
        companion = Database(self.url, self.user, busy_seconds=COMPANION_SECONDS)
        companion._lock_seconds = COMPANION_SECONDS
        return companion

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

    def __init__(self, session: Session) -> None:
        session.flush()
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

    def session(self) -> Session:
        """Return a session of its own on the same connection; its commits release savepoints."""
        return Session(self._connection, expire_on_commit=False, join_transaction_mode="create_savepoint")

    def close(self) -> None:
        """Do nothing: the connection is not ours."""


def be_brief(connection: Connection, seconds: float) -> None:
    """Let this transaction of our own wait at most so long for a lock, and keep nothing locked for long.

    The server ends it where its process is stopped in the middle. SQLite's one lock is taken when it begins.
    """
    if connection.dialect.name == "postgresql":
        # LOCAL: behind a pgbouncer the next transaction may be another client's.
        connection.exec_driver_sql(
            f"SET LOCAL lock_timeout = {seconds * 1000:.0f}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {STOPPED_SECONDS * 1000:.0f}"
        )


@cache
def _clause(name: str, dialect: str) -> TextClause:
    return text(statement(name, dialect))


def execute(
    connection: Connection, name: str, parameters: dict[str, Any] | list[dict[str, Any]]
) -> CursorResult[Any]:
    """Execute one of the statements of `jobcron.sql`, once for each set of parameters."""
    return connection.execute(_clause(name, connection.dialect.name), parameters)
