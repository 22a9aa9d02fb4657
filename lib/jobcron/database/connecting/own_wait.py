"""A job that waits for itself: its transaction holds what another connection, which it uses as well, wants.

The database sees two sessions, of which one does nothing, and no deadlock. Only this process knows that the one
cannot go on before the other one does: the thread of the job is in a call of the second connection, or waits for a
thread that is. Which one that is, their frames say; so it does not matter who opened it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, suppress
from types import FrameType
from typing import Protocol, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from jobcron.database.statements import execute
from jobcron.database.trouble import causes_of
from jobcron.errors import SelfDeadlock

TYPE_CHECKING = False

if TYPE_CHECKING:
    from psycopg import Connection as Psycopg
    from psycopg.rows import TupleRow
    from psycopg2.extensions import connection as Psycopg2

    Driver = Psycopg2 | Psycopg[TupleRow]

    class _Cursor(Protocol):
        """A cursor of either driver."""

        connection: Driver


MAX_SHOWN = 300
"""How much of a statement an error shows."""


def cancel(driver: object) -> None:
    """Cancel the statement that a driver's connection waits for, if any; from any thread."""
    if isinstance(driver, sqlite3.Connection):
        driver.interrupt()
    elif (other := _of_postgresql(driver)) is not None:
        other.cancel()


def waits_in_python(driver: object) -> bool:
    """Return whether a driver waits for PostgreSQL in Python, as psycopg 3 does: a signal breaks into that."""
    if "psycopg" not in sys.modules:
        return False
    import psycopg

    return isinstance(driver, psycopg.Connection)


def backend_of(driver: object) -> int | None:
    """Return the number of the PostgreSQL backend behind a driver's connection; None if it has none."""
    found = _of_postgresql(driver)
    return None if found is None or found.closed else found.info.backend_pid


def _of_postgresql(driver: object) -> Driver | None:
    connections, _ = _classes()
    return cast("Driver", driver) if isinstance(driver, connections) else None


def _classes() -> tuple[tuple[type[object], ...], tuple[type[object], ...]]:
    """Return the classes of connections and of cursors of PostgreSQL's drivers that this process has imported."""
    connections: list[type[object]] = []
    cursors: list[type[object]] = []
    if "psycopg2" in sys.modules:
        from psycopg2 import extensions

        connections.append(extensions.connection)
        cursors.append(extensions.cursor)
    if "psycopg" in sys.modules:
        import psycopg

        connections.append(psycopg.Connection)
        cursors.append(psycopg.Cursor)
    return tuple(connections), tuple(cursors)


def threads_now() -> frozenset[int]:
    """Return the numbers of all threads that there are."""
    return frozenset(sys._current_frames())


def place_of(thread: int) -> tuple[int, int]:
    """Return where a thread is: one that waits for a statement is in the same place later."""
    frame = sys._current_frames().get(thread)
    return (0, 0) if frame is None else (id(frame), frame.f_lasti)


def find(
    thread: int, older: Collection[int], holder: int, reading: Callable[[], AbstractContextManager[Connection]]
) -> tuple[Driver, SelfDeadlock] | None:
    """Return the connection over which a job waits for its own transaction, and the error for it; None: no such.

    Args:
        thread: the number of the job's thread, as the operating system's threads are counted.
        older: the numbers of the threads that there were when the job began.
        holder: the number of the backend of the job's own transaction.
        reading: begins a transaction on a connection that the job does not use.
    """
    for driver in _awaited(thread, older):
        number = backend_of(driver)
        if number is None or number == holder:
            continue
        with reading() as connection:
            error = _blocked_by(connection, number, holder)
        if error is not None:
            return driver, error
    return None


def _awaited(thread: int, older: Collection[int]) -> Iterator[Driver]:
    """Yield the connection that a thread uses now; if it waits for threads, those of all that are younger."""
    frames = sys._current_frames()
    mine = frames.pop(thread, None)
    if mine is None:
        return
    driver = _driver_in_use(mine)
    if driver is not None:
        yield driver
    elif mine.f_code.co_filename == threading.__file__:  # where all waiting for threads is done
        for number, frame in frames.items():
            if number not in older and (other := _driver_in_use(frame)) is not None:
                yield other


def _driver_in_use(frame: FrameType | None) -> Driver | None:
    """Return the connection to PostgreSQL that a thread with this innermost frame is using, or None."""
    connections, cursors = _classes()
    # psycopg2's call has no frame; SQLAlchemy's, or the job's, has the cursor. psycopg's frame has the connection.
    for _ in range(2):
        if frame is None:
            break
        for value in list(frame.f_locals.values()):
            if isinstance(value, cursors):
                return cast("_Cursor", value).connection
            if isinstance(value, connections):
                return cast("Driver", value)
        frame = frame.f_back
    return None


def _blocked_by(connection: Connection, waiting: int, holder: int) -> SelfDeadlock | None:
    """Return the error for a job of which one connection waits for another; None: it does not.

    Args:
        connection: a third one, to ask over.
        waiting: the number of the backend that the job's thread waits for.
        holder: the number of the backend of the job's own transaction.
    """
    row = execute(connection, "own_wait", {"waiting": waiting, "holder": holder}).one_or_none()
    if row is None:
        return None
    return SelfDeadlock(
        "the job waits for itself: over another connection it sent "
        f"{_shown(row.waiting)}, which waits for its own transaction, whose last statement was "
        f"{_shown(row.holding)}"
    )


def own_busy(error: BaseException, holder: object, last_statement: str) -> SelfDeadlock | None:
    """Return the error for a job that found SQLite's lock for writing taken by its own transaction; else None.

    Args:
        error: what the job raised.
        holder: the driver's connection of the job's transaction.
        last_statement: the last one that the job sent in it.
    """
    if not isinstance(holder, sqlite3.Connection) or not any(map(_is_busy, causes_of(error))):
        return None
    with suppress(sqlite3.Error, OSError):
        if not holder.in_transaction:
            return None
        ours = _file_of(holder)
        for cause in causes_of(error):
            for frame in _frames(cause):
                file = _other_file(frame, holder)
                if file and os.path.samefile(file, ours):
                    sent = getattr(cause, "statement", None)  # any object: errors of the driver have none
                    found = SelfDeadlock(
                        "the job waits for itself: over another connection it sent "
                        f"{_shown(sent) if sent else 'a statement'}, which found the database locked by its own "
                        f"transaction, whose last statement was {_shown(last_statement)}"
                    )
                    return found.with_traceback(error.__traceback__)  # no cause: that would be an interruption
    return None


def _is_busy(error: BaseException) -> bool:
    if not isinstance(error, sqlite3.OperationalError):
        return False
    # any object: errors of the module itself have no code
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _other_file(frame: FrameType, holder: sqlite3.Connection) -> str | None:
    """Return the file of another connection to SQLite that a frame has; None if there is none."""
    for value in list(frame.f_locals.values()):
        driver = value.connection if isinstance(value, sqlite3.Cursor) else value
        if isinstance(driver, sqlite3.Connection) and driver is not holder:
            with suppress(sqlite3.Error):  # it may be closed by now
                return _file_of(driver)
        if isinstance(value, Connection | Engine) and value.dialect.name == "sqlite":
            with suppress(SQLAlchemyError):
                if isinstance(value, Engine) or value.closed or value.connection.driver_connection is not holder:
                    return value.engine.url.database
    return None


def _file_of(driver: sqlite3.Connection) -> str:
    return next(str(file) for _, name, file in driver.execute("PRAGMA database_list") if name == "main")


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames of an error, the innermost one first."""
    trace, frames = error.__traceback__, []
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    yield from reversed(frames)


def _shown(statement: str) -> str:
    text = " ".join(statement.split())
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")
