"""What the parent writes about a child's job: that it waits for its process, that it begins, and its lease."""

from __future__ import annotations

import logging
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.statements import execute
from jobcron.errors import DatabaseUnavailable, LeaseLost
from jobcron.jobs.lease import Claim, lost
from jobcron.runner.attempt import Attempt, renew


def await_process(database: TransactionSource, claim: Claim) -> None:
    """Note that a claimed job has not begun, so that a death of this process is not counted."""
    with suppress(DBAPIError, DatabaseUnavailable), database.begin() as connection:
        execute(connection, "await_process", {"id": claim.id, "token": claim.token})


def begin(database: TransactionSource, claim: Claim) -> bool:
    """Note that a job begins; return False if this run has lost it, so that it must not begin."""
    with suppress(DBAPIError, DatabaseUnavailable), database.begin() as connection:
        return execute(connection, "begin", {"id": claim.id, "token": claim.token}).rowcount == 1
    return True  # unknown: the fence decides


def renew_or_lose(database: TransactionSource, attempt: Attempt, logger: logging.Logger) -> LeaseLost | None:
    """Renew a lease; return the error if it is lost."""
    try:
        return None if renew(database, attempt) else lost(attempt.claim)
    except (DBAPIError, DatabaseUnavailable) as error:
        logger.debug("Job %s could not be looked after now: %s", attempt.claim.id, error)
        return None
