"""Trouble of the database: which errors are the database's own, and not the fault of the running job."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import StrEnum

from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, PendingRollbackError


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


_OF_SQLITE = {
    sqlite3.SQLITE_BUSY: Interruption.BUSY,
    sqlite3.SQLITE_LOCKED: Interruption.BUSY,
    sqlite3.SQLITE_FULL: Interruption.DISK_FULL,
    sqlite3.SQLITE_IOERR: Interruption.DISK_FAILED,
}

_OF_POSTGRESQL = {
    "40P01": Interruption.DEADLOCK,
    "40001": Interruption.SERIALIZATION_FAILURE,
    "53100": Interruption.DISK_FULL,
    "58030": Interruption.DISK_FAILED,
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


def sqlstate_of(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error of PostgreSQL's driver; empty for others, such as SQLite's."""
    return getattr(error, "pgcode", None) or ""


def _sqlite_code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary error code; 0 if the error has none, as those of the module itself."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def mark_interruption(context: ExceptionContext) -> None:
    """Mark an error of our own engine as trouble of the database, if it is."""
    kind = _kind_of(context)
    if kind is not None and context.sqlalchemy_exception is not None:
        mark(context.sqlalchemy_exception, kind)


def _kind_of(context: ExceptionContext) -> Interruption | None:
    error = context.original_exception
    if context.is_disconnect:
        return Interruption.CONNECTION_LOST
    if context.connection is None:
        return Interruption.NO_CONNECTION
    if isinstance(error, sqlite3.Error):
        return _OF_SQLITE.get(_sqlite_code_of(error))
    return _OF_POSTGRESQL.get(sqlstate_of(error))


def mark_refusal(error: DBAPIError) -> None:
    """Mark an error of one of the runner's own statements as trouble of the database, if it is."""
    kind = _REFUSALS.get(sqlstate_of(error.orig))
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


def trouble_of(error: BaseException) -> Interruption | None:
    """Return why the database failed a statement of the runner; None if the runner was at fault.

    The runner's own statements are few and known to be right, so a refusal due to the server's settings or
    state is temporary. A job's statement that its own ``statement_timeout`` stops is the job's failure.
    """
    if isinstance(error, DBAPIError):
        mark_refusal(error)
    return interruption_of(error)


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
