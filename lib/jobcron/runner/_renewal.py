"""Renew a lease, and see who else moved the job meanwhile."""

from __future__ import annotations

import time

from jobcron.database.database import TransactionSource
from jobcron.database.statements import execute
from jobcron.queue.finish import still_ours
from jobcron.runner.attempt import Attempt

RETRY_SECONDS = 5.0
"""How soon a renewal that did not go through is tried again."""


def renew(database: TransactionSource, attempt: Attempt) -> bool:
    """Renew the lease of a job that runs, and write its progress; False: the job is not ours any more.

    Args:
        database: a connection that may wait a little only.
        attempt: its ``renew_at`` is set.
    """
    attempt.renew_at = time.monotonic() + attempt.lease_seconds / 3
    parameters = {**attempt.parameters, "lease_seconds": attempt.lease_seconds}
    with database.begin() as connection:
        if execute(connection, "renew", parameters).rowcount == 1:
            return True
    if not still_ours(database, attempt.claim):
        return False
    retry_soon(attempt)  # held locked by the job's own transaction: nobody can take it over
    return True


def retry_soon(attempt: Attempt) -> None:
    """Try a renewal that did not go through again before long."""
    attempt.renew_at = time.monotonic() + min(RETRY_SECONDS, attempt.lease_seconds / 10)
