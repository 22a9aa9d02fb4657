"""Trouble of the database: which errors are its own, and not the fault of the job that runs just then."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, PendingRollbackError

_SQLITE_INTERRUPTIONS = {
    sqlite3.SQLITE_BUSY: "the database was busy",
    sqlite3.SQLITE_LOCKED: "the database was busy",
    sqlite3.SQLITE_FULL: "the database's disk was full",
    sqlite3.SQLITE_IOERR: "the database's disk failed",
}

_POSTGRESQL_INTERRUPTIONS = {
    "40P01": "a deadlock",
    "40001": "a serialization failure",
    "53100": "the database's disk was full",
    "58030": "the database's disk failed",
}

NO_LOCK = "a lock was not to be had in time"

REFUSALS = {
    "55P03": NO_LOCK,
    "57014": "a statement took longer than the database allows",
    "25006": "the database takes no writes",
    "53200": "the database's memory was full",
}

IN_FAILED_TRANSACTION = "25P02"


def mark_interruption(context: ExceptionContext) -> None:
    """Note on an error of our own engine that it is the database's trouble, not the job's."""
    error = context.original_exception
    reason = None
    if context.is_disconnect:
        reason = "the connection to the database was lost"
    elif context.connection is None:
        reason = "no connection to the database could be made"
    elif isinstance(error, sqlite3.Error):
        # Without a code the error is the module's own.
        reason = _SQLITE_INTERRUPTIONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    else:
        reason = _POSTGRESQL_INTERRUPTIONS.get(getattr(error, "pgcode", None) or "")
    if reason and context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.jobcron_interruption = reason  # type: ignore[attr-defined]


def interruption_of(error: BaseException) -> str | None:
    """Return why the database interrupted the work that ended in `error`, or None if it did not.

    Only errors of our own engines count: a job that loses another database has failed.
    """
    reasons = (getattr(link, "jobcron_interruption", None) for link in _chain(error))
    return next((reason for reason in reasons if isinstance(reason, str)), None)


def trouble_of(error: BaseException) -> str | None:
    """Return why the database did not do what the runner itself asked, or None if that was the runner's fault.

    The runner's own statements are few and known to be right: what a server refuses for its settings or its state
    passes. A job's statement that is stopped by its own ``statement_timeout`` is the job's affair.
    """
    if isinstance(error, DBAPIError):
        mark_refusal(error)
    return interruption_of(error)


def mark_refusal(error: DBAPIError) -> None:
    """Note on an error of one of the runner's own statements that it is the database's trouble, if it is."""
    reason = REFUSALS.get(getattr(error.orig, "pgcode", None) or "")
    if reason is not None and interruption_of(error) is None:
        error.jobcron_interruption = reason  # type: ignore[attr-defined]


def follows_trouble(error: BaseException) -> bool:
    """Tell whether an error only says that its transaction had failed before."""
    return any(
        isinstance(link, PendingRollbackError)
        or (isinstance(link, DBAPIError) and getattr(link.orig, "pgcode", None) == IN_FAILED_TRANSACTION)
        for link in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def is_lost(error: DBAPIError) -> bool:
    """Tell whether the connection went away, so that nobody knows what became of the statement."""
    return error.connection_invalidated or interruption_of(error) == ("the connection to the database was lost")


def first_line(error: object) -> str:
    """Return the first line of an error's text, which is the part that says what happened."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
