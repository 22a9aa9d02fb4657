"""Retry work that met trouble in the database: a lock, a full disk, a lost connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from jobcron.database.database import TransactionSource
from jobcron.database.statements import end_if_stopped
from jobcron.database.trouble import first_line, is_unusable, reason_of, told, trouble_of
from jobcron.errors import DatabaseUnavailable, DatabaseUnusable

Result = TypeVar("Result")


class Policy(NamedTuple):
    """How often to retry, and after which errors.

    Attributes:
        pauses: seconds before each retry.
        troubles: errors to retry after, besides those that are known as trouble of the database.
        at_once: errors to retry after without a pause.
    """

    pauses: tuple[float, ...]
    troubles: tuple[type[Exception], ...] = ()
    at_once: tuple[type[Exception], ...] = ()

    def trouble_of(self, error: Exception) -> str | None:
        """Return the database's trouble in words; None if the error is not one to retry after."""
        if isinstance(error, (*self.troubles, DatabaseUnusable)):
            return first_line(error)
        kind = trouble_of(error)
        if is_unusable(error) and isinstance(error, DBAPIError):
            return f"{kind}: {first_line(error.orig)}"
        return None if kind is None else told(kind, reason_of(error))

    def at_most(self, tries: int) -> Policy:
        """Return the policy limited to this many tries."""
        return self._replace(pauses=self.pauses[: tries - 1])


TRIES = 5

# why: decisions 2026-11-29, one retry loop
WHILE_CLAIMING = Policy((0.1, 1.0))
"""For work before jobs run: another run can do it as well."""

WHILE_FINISHING = Policy((0.5,) * (TRIES - 1), (DatabaseUnavailable,), at_once=(IntegrityError,))
"""For the end of a job, which is worth more patience. A job with the same key may appear at any time."""


def retry_in_session(session: Session, failure: str, work: Callable[[], Result]) -> Result:
    """Do work in a session; retry it after trouble in the database.

    Args:
        session: the session; it is rolled back after each try that failed.
        failure: the beginning of the message if the trouble stays.
        work: the work to do.

    Raises:
        DatabaseUnavailable: the trouble stayed.
        DatabaseUnusable: it will stay.
    """

    def work_or_undo() -> Result:
        try:
            return work()
        except Exception:
            session.rollback()
            raise

    return _retry(WHILE_CLAIMING, failure, work_or_undo)


def retry_in_transaction(
    database: TransactionSource, what: str, work: Callable[[Connection], Result], tries: int = TRIES
) -> Result:
    """Do work in a short transaction; retry it after trouble in the database.

    Args:
        database: the database of the transaction.
        what: what was being finished, for the message if the trouble stays; its lease then decides.
        work: the work to do in the transaction.
        tries: the most tries.

    Raises:
        DatabaseUnavailable: the trouble stayed.
        DatabaseUnusable: it will stay.
        IntegrityError: each try violated a constraint.
    """

    def work_in_transaction() -> Result:
        with database.begin() as connection:
            if not database.is_ambient:
                end_if_stopped(connection)
            return work(connection)

    failure = f"the database went away while {what} was being finished; it is decided by its lease"
    return _retry(WHILE_FINISHING.at_most(tries), failure, work_in_transaction)


def _retry(policy: Policy, failure: str, work: Callable[[], Result]) -> Result:
    for pause in (*policy.pauses, None):
        try:
            return work()
        except policy.at_once:
            if pause is None:
                raise
        except Exception as error:
            trouble = policy.trouble_of(error)
            if trouble is None:
                raise
            if is_unusable(error):
                raise DatabaseUnusable(f"{failure}: {trouble}") from error
            if pause is None:
                raise DatabaseUnavailable(f"{failure}: {trouble}") from error
            time.sleep(pause)
    raise AssertionError("not reached: the last try returns or raises")
