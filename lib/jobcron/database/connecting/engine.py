"""Create engines: open SQLite and PostgreSQL, and configure their connections."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event

from jobcron.database.connecting.boundary import Boundary
from jobcron.database.connecting.options import CONNECT_ARGUMENTS
from jobcron.database.connecting.plain import missing_driver
from jobcron.database.connecting.sqlite_file import DatabaseFile, file_of
from jobcron.database.transactions import BUSY_SECONDS, end_haste, prepare_engine
from jobcron.database.trouble import ask_why, mark_interruption
from jobcron.errors import ConfigurationError
from jobcron.settings.database_url import PSYCOPG, driver_of
from jobcron.settings.sqlalchemy_url import parse_url

PAUSE_SECONDS = 0.5
"""No server ends a connection that has been idle for less."""

_LAST_STATEMENT = "jobcron_last_statement"

HIDE_PARAMETERS = True
"""The text of an SQL error reaches logs and reports; a job's data must not."""


def make_engine(
    url: str,
    user: str | None = None,
    busy_seconds: float = BUSY_SECONDS,
    boundary: Boundary | None = None,
    file: DatabaseFile | None = None,
) -> Engine:
    """Create an engine with our settings for the database.

    Args:
        url: the database's URL.
        user: connect as this role instead of the URL's.
        busy_seconds: how long a statement waits for SQLite's write lock, in seconds.
        boundary: counts the ends of the jobs that use the connections.
        file: SQLite's file, as another engine knows it already.

    Raises:
        ConfigurationError: see `parse_url`.
    """
    parsed, boundary = parse_url(url, user), boundary or Boundary()
    if parsed.get_backend_name() == "sqlite":
        engine = _sqlite_engine(parsed, busy_seconds, boundary, file or file_of(parsed))
    else:
        engine = _postgresql_engine(parsed, boundary)
    event.listen(engine, "checkout", boundary.connection_taken)
    event.listen(engine, "handle_error", mark_interruption)
    return engine


def leave(connection: Connection) -> None:
    """Put a connection of ours back together with its next statement, the last one of a job's transaction."""
    if connection.dialect.name == "postgresql":
        from jobcron.database.connecting._watch import Watched

        driver = connection.connection.driver_connection
        if isinstance(driver, Watched):  # a job may bind its session to another database
            driver.leave()


def _sqlite_engine(url: URL, busy_seconds: float, boundary: Boundary, file: DatabaseFile | None) -> Engine:
    from jobcron.database.connecting import _sqlite

    arguments = {"timeout": busy_seconds, "factory": _sqlite.WatchedConnection}
    engine = create_engine(url, connect_args=arguments, hide_parameters=HIDE_PARAMETERS)
    event.listen(engine, "connect", _set_up_sqlite)
    prepare_engine(engine, busy_seconds)
    event.listen(engine, "checkout", end_haste)
    if file is not None:
        file.watch(engine)
    if isinstance(engine.pool, QueuePool):  # a database in memory is gone with its connection
        _check_before_use(engine, partial(_sqlite.is_fit, boundary))
        event.listen(engine, "checkout", partial(_sqlite.note_use, boundary))
    return engine


def _postgresql_engine(url: URL, boundary: Boundary) -> Engine:
    from jobcron.database.connecting import _postgresql

    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=2,
        # The connection of a job's end writes its outcome, and so is put back before it can rest for long.
        pool_use_lifo=True,
        connect_args=_connect_arguments(url, boundary),
        hide_parameters=HIDE_PARAMETERS,
    )
    if driver_of(url.drivername) == PSYCOPG:
        event.listen(engine, "do_connect", partial(_open_psycopg, boundary))
    else:  # psycopg 3 reads the server's last words after a statement that could not be sent
        event.listen(engine, "before_cursor_execute", _listen_after_a_pause)
    _check_before_use(engine, _postgresql.is_alive)
    event.listen(engine, "checkout", partial(_postgresql.set_up, engine))
    return engine


def _connect_arguments(url: URL, boundary: Boundary) -> dict[str, object]:
    """Return the arguments of a driver's connections, without those that the URL has.

    Raises:
        ConfigurationError: the driver is not installed.
    """
    driver = driver_of(url.drivername)
    arguments: dict[str, object] = {"application_name": "jobcron", **CONNECT_ARGUMENTS}
    try:
        if driver == PSYCOPG:
            from jobcron.database.connecting import _watched_psycopg  # noqa: F401 (used at each connection)

            # Into SQL_ASCII, psycopg would send and take bytes.
            arguments["client_encoding"] = "UTF8"
        else:
            from jobcron.database.connecting import _watched
    except ImportError as error:
        raise missing_driver(driver, error) from error
    arguments = {key: value for key, value in arguments.items() if key not in url.query}
    if driver != PSYCOPG:
        arguments["connection_factory"] = partial(_watched.WatchedConnection, boundary)
        arguments["cursor_factory"] = _watched.WatchedCursor
    return arguments


def _open_psycopg(
    boundary: Boundary, dialect: object, record: object, arguments: list[object], options: dict[str, object]
) -> object:
    from jobcron.database.connecting._watched_psycopg import WatchedConnection

    return WatchedConnection.opened(boundary, options)


def _listen_after_a_pause(connection: Connection, *statement: object) -> None:
    """Ask why the server has ended a connection, before the first statement after a pause in a transaction."""
    now = time.monotonic()
    info = connection.connection.info
    last, info[_LAST_STATEMENT] = info.get(_LAST_STATEMENT, now), now
    if now - last >= PAUSE_SECONDS:
        ask_why(connection.connection.driver_connection)


def _check_before_use(engine: Engine, is_fit: Callable[..., bool]) -> None:
    """Let the pool replace connections that are not fit for use, when they are taken from it."""
    engine.pool._pre_ping = True
    engine.dialect.do_ping = is_fit  # type: ignore[method-assign]


def _set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    (mode,) = cursor.execute("PRAGMA journal_mode = WAL").fetchone()
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
    if mode not in ("wal", "memory"):  # the latter is a database in memory, for tests
        raise ConfigurationError(
            f"expected a file system where SQLite can keep a write-ahead log, got one with journal mode {mode}: a "
            "network share has no shared memory, and a read-only one has no place for it; use a local disk, or "
            "PostgreSQL"
        )
