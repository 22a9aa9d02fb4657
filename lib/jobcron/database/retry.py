"""Try again in the database what met trouble there: a lock, a full disk, a lost connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobcron.database.database import TransactionSource
from jobcron.database.trouble import first_line, trouble_of
from jobcron.errors import DatabaseUnavailable

Result = TypeVar("Result")


class Policy(NamedTuple):
    """How often something is tried again, and after what.

    Attributes:
        pauses: seconds before each new try.
        troubles: errors after which it is tried again, besides those that are known as the database's trouble.
        at_once: errors after which it is tried again without a pause.
    """

    pauses: tuple[float, ...]
    troubles: tuple[type[Exception], ...] = ()
    at_once: tuple[type[Exception], ...] = ()

    def trouble_of(self, error: Exception) -> str | None:
        """Return what the database's trouble was, in words; None: the error is none to try again after."""
        if isinstance(error, self.troubles):
            return first_line(error)
        kind = trouble_of(error)
        return None if kind is None else kind.sentence

    def at_most(self, tries: int) -> Policy:
        """Return the policy for no more tries than these."""
        return self._replace(pauses=self.pauses[: tries - 1])


TRIES = 5

WHILE_CLAIMING = Policy((0.1, 1.0))
"""Of what a session does before jobs run: another run can do it as well."""

WHILE_FINISHING = Policy((0.5,) * (TRIES - 1), (DatabaseUnavailable,), at_once=(IntegrityError,))
"""Of what ends a job, which is worth more patience: a job with the same key may come in between."""


def retry_in_session(session: Session, failure: str, work: Callable[[], Result]) -> Result:
    """Do something in a session, and try again where the database was in trouble.

    Args:
        session: rolled back after each try that failed.
        failure: what has failed if the trouble stays, for the message.
        work: what to do.

    Raises:
        DatabaseUnavailable: the trouble stayed.
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
    """Do something in a transaction of its own, and try again where the database was in trouble.

    Args:
        database: where.
        what: is decided by its lease if the trouble stays, for the message.
        work: what to do in the transaction.
        tries: how often, at most.

    Raises:
        DatabaseUnavailable: the trouble stayed.
        IntegrityError: a constraint was violated each time.
    """

    def work_in_transaction() -> Result:
        with database.begin() as connection:
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
            if pause is None:
                raise DatabaseUnavailable(f"{failure}: {trouble}") from error
            time.sleep(pause)
    raise AssertionError("not reached: the last try returns or raises")
