"""Trouble of the database: which errors are the database's own, and not the fault of the running job."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from typing import Protocol

from sqlalchemy.engine import Dialect, ExceptionContext
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from jobcron.errors import ConfigurationError, DatabaseUnavailable, DatabaseUnusable


class Interruption(StrEnum):
    """Why the database interrupted the work of a job or of the runner.

    The values are stored in the histories of jobs, where they are counted: never change one. People read
    `sentence`.
    """

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Interruption:
        """Create a kind of interruption.

        Args:
            value: the words that rows store.
            sentence: the words that people read; by default the value.
        """
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.sentence = sentence or value
        return kind

    NO_CONNECTION = "no connection to the database could be made"
    CONNECTION_LOST = "the connection to the database was lost"
    BUSY = "the database was busy"
    DISK_FULL = "the database's disk was full"
    DISK_FAILED = "the database's disk failed"
    DEADLOCK = "a deadlock"
    SERIALIZATION_FAILURE = "a serialization failure"
    LOCK_TIMEOUT = "a lock was not to be had in time", "a lock could not be taken in time"
    STATEMENT_TIMEOUT = "a statement took longer than the database allows"
    READ_ONLY = "the database takes no writes", "the database is read-only"
    CHANGED_MEANWHILE = "another session changed a row that the job had read"
    MEMORY_FULL = "the database's memory was full", "the database ran out of memory"
    REPLACED = "the database's file was replaced"
    DAMAGED = "the database is damaged"


UNUSABLE = (Interruption.REPLACED, Interruption.DAMAGED)
"""Interruptions that do not pass: waiting does not help, and what is written may be lost or do harm."""


_OF_SQLITE = {
    sqlite3.SQLITE_BUSY: Interruption.BUSY,
    sqlite3.SQLITE_LOCKED: Interruption.BUSY,
    sqlite3.SQLITE_FULL: Interruption.DISK_FULL,
    sqlite3.SQLITE_IOERR: Interruption.DISK_FAILED,
    sqlite3.SQLITE_CORRUPT: Interruption.DAMAGED,
    sqlite3.SQLITE_NOTADB: Interruption.DAMAGED,
    sqlite3.SQLITE_READONLY_DBMOVED: Interruption.REPLACED,
}
"""By SQLite's error codes, primary ones and extended ones."""

_OF_POSTGRESQL = {
    "40P01": Interruption.DEADLOCK,
    "40001": Interruption.SERIALIZATION_FAILURE,
    "53100": Interruption.DISK_FULL,
    "58030": Interruption.DISK_FAILED,
    "XX001": Interruption.DAMAGED,
    "XX002": Interruption.DAMAGED,
}

_REFUSALS = {
    "55P03": Interruption.LOCK_TIMEOUT,
    "57014": Interruption.STATEMENT_TIMEOUT,
    "25006": Interruption.READ_ONLY,
    "53200": Interruption.MEMORY_FULL,
}
"""Refusals due to the server's settings or state: trouble for the runner's statements, failure for a job's."""

IN_FAILED_TRANSACTION = "25P02"

INSUFFICIENT_PRIVILEGE = "42501"

NO_SCHEMA = "3F000"
"""No schema of the search path exists, or the role may use none."""


def refused_right(error: BaseException) -> str | None:
    """Return the server's words if it refused something because the role has no right to it."""
    for link in causes_of(error):
        if isinstance(link, DBAPIError) and sqlstate_of(link.orig) in (INSUFFICIENT_PRIVILEGE, NO_SCHEMA):
            return first_line(link.orig)
    return None


def missing_right(origin: str, refusal: str) -> ConfigurationError:
    """Return the error that says that a run's role lacks a right.

    Args:
        origin: where the database is named.
        refusal: the server's words.
    """
    return ConfigurationError(
        f"{origin}: expected a role that may use jobcron's tables, got: {refusal}; "
        "`jobcron grant` gives it the rights that a security.cfg names; `jobcron doctor` says which it lacks"
    )


def sqlstate_of(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error of PostgreSQL's driver; empty for others, such as SQLite's."""
    return getattr(error, "pgcode", None) or getattr(error, "sqlstate", None) or ""


def _kind_of_sqlite(error: sqlite3.Error) -> Interruption | None:
    code: int = getattr(error, "sqlite_errorcode", 0)  # errors of the module itself have none
    return _OF_SQLITE.get(code) or _OF_SQLITE.get(code & 0xFF)


def refuses_writes(error: BaseException | None) -> bool:
    """Return whether SQLite says that it may not write its file, or one beside it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY


ENDED_BY_SERVER = ("57P", "25P03", "25P04")
"""The SQLSTATEs with which a server ends a connection, by their beginnings."""

MAX_REASON = 200


class Listening(Protocol):
    """A connection of a driver of PostgreSQL's."""

    def poll(self) -> int | None:
        """Read what the server has sent."""


def ask_why(driver: Listening | None) -> None:
    """Read what the server may have sent on a connection that was idle, such as why it ended it.

    Sending the next statement would lose it: libpq then only says that the server closed the connection.
    """
    if driver is not None:
        with suppress(Exception):  # the statement that follows will fail as well
            driver.poll()


def _reason_of(context: ExceptionContext) -> str | None:
    """Return why the server ended a connection, in its own words, if it said so."""
    error = context.original_exception
    if sqlstate_of(error).startswith(ENDED_BY_SERVER):
        return first_line(error)[:MAX_REASON]
    with suppress(Exception):  # no connection yet or any more, or a driver without notices
        assert context.connection is not None
        last = str(context.connection.connection.driver_connection.notices[-1])  # type: ignore[union-attr]
        return first_line(last.removeprefix("FATAL:"))[:MAX_REASON] if last.startswith("FATAL:") else None
    return None


def mark_interruption(context: ExceptionContext) -> None:
    """Mark an error of our own engine as trouble of the database, if it is."""
    kind = _kind_of(context)
    if kind is not None and context.sqlalchemy_exception is not None:
        mark(context.sqlalchemy_exception, kind)
        if kind is Interruption.CONNECTION_LOST:
            context.sqlalchemy_exception.jobcron_reason = _reason_of(context)  # type: ignore[attr-defined]


def of_driver(error: Exception, statement: str, dialect: Dialect, *, is_lost: bool = False) -> Exception:
    """Return SQLAlchemy's error for one of the driver's, marked as trouble of the database if it is.

    Args:
        error: the driver's.
        statement: the statement's name.
        dialect: of the engine.
        is_lost: whether the connection was lost.
    """
    assert dialect.loaded_dbapi is not None
    base = dialect.loaded_dbapi.Error
    made = DBAPIError.instance(
        statement, None, error, base, hide_parameters=True, connection_invalidated=is_lost, dialect=dialect
    )
    kind = Interruption.CONNECTION_LOST if is_lost else _kind_of_driver(error)
    if kind is not None:
        mark(made, kind)
    assert isinstance(made, Exception)
    if is_lost and sqlstate_of(error).startswith(ENDED_BY_SERVER):
        made.jobcron_reason = first_line(error)[:MAX_REASON]  # type: ignore[attr-defined]
    return made


def _kind_of_driver(error: BaseException) -> Interruption | None:
    return _kind_of_sqlite(error) if isinstance(error, sqlite3.Error) else _OF_POSTGRESQL.get(sqlstate_of(error))


def _kind_of(context: ExceptionContext) -> Interruption | None:
    error = context.original_exception
    kind = _kind_of_driver(error)
    if kind in UNUSABLE:
        return kind
    if context.is_disconnect:
        return Interruption.CONNECTION_LOST
    return Interruption.NO_CONNECTION if context.connection is None else kind


def mark_refusal(error: DBAPIError) -> None:
    """Mark an error of one of the runner's own statements as trouble of the database, if it is."""
    kind = Interruption.READ_ONLY if refuses_writes(error.orig) else _REFUSALS.get(sqlstate_of(error.orig))
    if kind is not None and interruption_of(error) is None:
        mark(error, kind)


def mark(error: BaseException, kind: Interruption) -> None:
    """Mark an error as an interruption of this kind."""
    error.jobcron_interruption = kind  # type: ignore[attr-defined]


def interruption_of(error: BaseException) -> Interruption | None:
    """Return why the database interrupted the work that raised `error`, or None if it did not.

    Only errors of our own engines count: a job that loses another database fails.
    """
    kinds = (getattr(link, "jobcron_interruption", None) for link in causes_of(error))
    return next((kind for kind in kinds if isinstance(kind, Interruption)), None)


def reason_of(error: BaseException) -> str | None:
    """Return why the server ended the connection whose loss raised `error`, in its own words; None: unknown."""
    reasons = (getattr(link, "jobcron_reason", None) for link in causes_of(error))
    return next((reason for reason in reasons if isinstance(reason, str)), None)


def told(kind: Interruption, reason: str | None) -> str:
    """Return what people are told of an interruption."""
    return f"{kind.sentence}: {reason}" if reason else kind.sentence


def trouble_of(error: BaseException) -> Interruption | None:
    """Return why the database failed a statement of the runner; None if the runner was at fault.

    The runner's own statements are few and known to be right, so a refusal due to the server's settings or
    state is temporary. A job's statement that its own ``statement_timeout`` stops is the job's failure.
    """
    if isinstance(error, DBAPIError):
        mark_refusal(error)
    return interruption_of(error)


def is_unusable(error: BaseException | None) -> bool:
    """Return whether an error says that the database must not be used any more: see `UNUSABLE`."""
    return isinstance(error, DatabaseUnusable) or (error is not None and interruption_of(error) in UNUSABLE)


def unavailable(message: str, error: BaseException) -> DatabaseUnavailable:
    """Return the error to raise for the database's trouble.

    Args:
        message: what could not be done, and why.
        error: the trouble.
    """
    return (DatabaseUnusable if is_unusable(error) else DatabaseUnavailable)(message)


def follows_trouble(error: BaseException) -> bool:
    """Return whether an error only says that its transaction had failed before."""
    return any(
        isinstance(link, PendingRollbackError)
        or (isinstance(link, DBAPIError) and sqlstate_of(link.orig) == IN_FAILED_TRANSACTION)
        for link in causes_of(error)
    )


def is_lost(error: DBAPIError) -> bool:
    """Return whether the connection was lost, so that the statement's result is unknown."""
    return error.connection_invalidated or interruption_of(error) is Interruption.CONNECTION_LOST


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then its cause, and so on; each one once, even if they form a circle."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def first_line(error: object) -> str:
    """Return the first line of an error's text, the part that says what happened."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
