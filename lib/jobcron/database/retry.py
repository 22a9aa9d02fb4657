"""Doing something in the database again where it met trouble there: a lock, a full disk, a lost connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from jobcron.database.database import TransactionSource
from jobcron.database.trouble import first_line, trouble_of
from jobcron.errors import DatabaseUnavailable

Result = TypeVar("Result")

PAUSES = (0.1, 1.0, None)
"""Seconds between tries of what a session does."""

TRIES = 5
PAUSE_SECONDS = 0.5
"""Of what ends a job: it is worth more patience."""


def insist(session: Session, failure: str, work: Callable[[], Result]) -> Result:
    """Do something in the database, again where it met trouble there.

    Args:
        session: rolled back before each try but the first.
        failure: what has failed where the trouble stays.
        work: what to do.

    Raises:
        DatabaseUnavailable: the trouble stayed.
    """
    for pause in PAUSES:
        try:
            return work()
        except Exception as error:
            session.rollback()
            reason = trouble_of(error)
            if reason is None:
                raise
            if pause is None:
                raise DatabaseUnavailable(f"{failure}: {reason}") from error
            time.sleep(pause)
    raise AssertionError("not reached")


def persistently(
    database: TransactionSource, what: str, work: Callable[[Connection], Result], tries: int = TRIES
) -> Result:
    """Do `work` in a transaction of its own, again where the database was in trouble.

    Args:
        database: where.
        what: is decided by its lease if the trouble stays, for the message.
        work: what to do in the transaction.
        tries: how often, at most.

    Raises:
        DatabaseUnavailable: the trouble stayed.
    """
    tried = 0
    while True:
        tried += 1
        try:
            with database.begin() as connection:
                return work(connection)
        except IntegrityError:  # a job with the same key came in between
            if tried >= tries:
                raise
        except (DBAPIError, DatabaseUnavailable) as error:
            if isinstance(error, DBAPIError) and trouble_of(error) is None:
                raise
            if tried >= tries:
                raise DatabaseUnavailable(
                    f"the database went away while {what} was being finished; "
                    f"it is decided by its lease: {first_line(error)}"
                ) from error
            time.sleep(PAUSE_SECONDS)
