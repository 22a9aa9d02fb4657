"""Begin transactions, on SQLite with the write lock: a transaction that has read may be unable to take it later.

If a transaction has read, and another one commits after that, SQLite refuses the first one's writes at once, with
"database is locked". Waiting does not help: the transaction has to be rolled back.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, ManagesConnection

from jobcron.database.tables import JobTypeRow, jobs_connection
from jobcron.errors import SchemaMismatch
from jobcron.settings.sqlalchemy_url import describe_url

BUSY_SECONDS = 30.0
"""How long a statement waits for SQLite's write lock."""

READING = {"jobcron_begin": "DEFERRED"}
"""Execution options of transactions that only read. On SQLite they take no lock: they see the database as it was
when they began, and wait for nobody."""

PAUSE_SECONDS = 0.001, 0.005
"""Between two tries to take SQLite's lock: the least and the most."""

_BEGIN, _WAIT, _HASTE = "jobcron_begin", "jobcron_wait", "jobcron_haste"

_CURE = (
    "This transaction had read from SQLite before another one committed, so it can write nothing. Let the engine "
    "begin its transactions with the lock for writing: jobcron.prepare_engine(engine)."
)


def prepare_engine(engine: Engine, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Prepare the engine of an application that creates jobs, and return it.

    On SQLite each transaction then begins with the write lock (``BEGIN IMMEDIATE``), and waits while another
    connection holds it. For transactions that only read, set the execution option ``jobcron_begin="DEFERRED"`` on
    the engine, the connection or the session's connection: they take no write lock. Engines of other databases are
    not changed.

    Args:
        engine: an engine that has made no connection yet; for an AsyncEngine, its ``sync_engine``.
        busy_seconds: for how many seconds a statement waits for SQLite's lock; a longer wait that the engine has
            already is kept.
    """
    if engine.dialect.name != "sqlite":
        return engine

    def set_up(connection: Any, record: Any) -> None:
        record.info[_WAIT] = _wait_at_least(connection, busy_seconds)

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", _note_mode)
    # Not in the event itself: after an error there SQLAlchemy would go on without any transaction.
    engine.dialect.do_begin = _begin  # type: ignore[method-assign, assignment]
    return engine


def _wait_at_least(connection: Any, seconds: float) -> float:
    """Set up a new connection, and return how many seconds it waits for the lock."""
    if hasattr(connection, "autocommit"):  # since Python 3.12; False would begin by itself, without the lock
        connection.rollback()
        connection.autocommit = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL
    connection.isolation_level = None  # BEGIN is ours to send: see _begin
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout")
    own = cursor.fetchone()[0] / 1000
    if own < seconds:
        cursor.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
    cursor.close()
    return float(max(own, seconds))


def _note_mode(connection: Connection) -> None:
    """Leave word for `_begin` of how the transaction is to begin."""
    options = connection.get_execution_options()
    is_none = options.get("isolation_level") == "AUTOCOMMIT"
    connection.connection.info[_BEGIN] = None if is_none else options.get(_BEGIN, "IMMEDIATE")


def _begin(connection: Any) -> None:
    mode = connection.info[_BEGIN]
    if mode is None:
        return
    if mode == "IMMEDIATE" and isinstance(connection.driver_connection, sqlite3.Connection):
        cursor = connection.cursor(sqlite3.Cursor)  # not that of our engines, which notes a job's PRAGMAs
        _take_lock(cursor, connection.info[_WAIT])
    else:
        cursor = connection.cursor()
        cursor.execute(f"BEGIN {mode}")
    cursor.close()


def _take_lock(cursor: sqlite3.Cursor, seconds: float) -> None:
    """Begin with the lock, asking for it every few milliseconds.

    SQLite itself asks ever more rarely, up to ten times a second: who has waited long would get it last.
    """
    cursor.execute("PRAGMA busy_timeout = 0")
    end = time.monotonic() + seconds
    try:
        while not _has_begun(cursor, is_last=time.monotonic() >= end):
            time.sleep(random.uniform(*PAUSE_SECONDS))
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


def _has_begun(cursor: sqlite3.Cursor, is_last: bool) -> bool:
    try:
        cursor.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if is_last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def try_at_once(
    connection: ManagesConnection, statement: str, parameters: Mapping[str, int | None]
) -> list[tuple[object, ...]] | None:
    """Execute a statement that commits itself, and return the rows that it returns; None: the lock is taken.

    Args:
        connection: of a prepared engine, with no transaction open. From now on it does not wait for the lock: see
            `end_haste`.
        statement, parameters: as for the driver.
    """
    cursor = connection.driver_connection.cursor(sqlite3.Cursor)  # type: ignore[union-attr]
    if _HASTE not in connection.info:
        connection.info[_HASTE] = True
        cursor.execute("PRAGMA busy_timeout = 0")  # whoever has to wait does so as `_take_lock` does
    try:
        rows: list[tuple[object, ...]] = cursor.execute(statement, parameters).fetchall()
        return rows  # reading the last one has ended the statement
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return None
    finally:
        cursor.close()


def end_haste(connection: sqlite3.Connection, record: ConnectionPoolEntry, proxy: object) -> None:
    """Let a connection wait for the lock again after `try_at_once`, now that somebody else takes it."""
    if record.info.pop(_HASTE, False):
        cursor = connection.cursor(sqlite3.Cursor)
        cursor.execute(f"PRAGMA busy_timeout = {record.info[_WAIT] * 1000:.0f}")
        cursor.close()


def begin_writing(session: Session) -> None:
    """Take SQLite's lock for writing, before anything of ours reads in a transaction that will write.

    Where the engine is one of ours, or prepared, the transaction has the lock already. With any other engine a
    statement that changes nothing takes it. That also makes Python's sqlite3 module begin a transaction at all,
    which it does not before a SAVEPOINT: releasing that would commit.

    Args:
        session: of the caller. On other databases nothing is done.

    Raises:
        OperationalError: the transaction has read already, and somebody else has committed since.
        SchemaMismatch: the session's database has no tables of jobcron's.
    """
    connection = jobs_connection(session)
    if connection.dialect.name != "sqlite" or connection.connection.info.get(_BEGIN) == "IMMEDIATE":
        return
    try:
        connection.exec_driver_sql(f"UPDATE {JobTypeRow.__tablename__} SET name = name WHERE 0")
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_BUSY_SNAPSHOT":
            error.add_note(_CURE)
        elif "no such table" in str(error.orig):
            raise no_tables(connection.engine) from error
        raise


def no_tables(engine: Engine) -> SchemaMismatch:
    """Return the error of a session whose database has no tables of jobcron's."""
    return SchemaMismatch(
        f"expected jobcron's tables in the session's database, {describe_url(engine.url)}, found none: run "
        "`jobcron upgrade` for it, or give a session of the database that has them"
    )
