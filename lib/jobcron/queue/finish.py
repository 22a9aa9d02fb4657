"""The end of an attempt: writes its outcome, fenced by the lease token.

Success is the last statement of the job's own transaction. Every other outcome is written in a separate
transaction, after the rollback of the job's.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.retry import TRIES, retry_in_transaction
from jobcron.database.statements import be_brief, execute
from jobcron.database.trouble import Interruption, interruption_of
from jobcron.errors import DatabaseUnavailable
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import record
from jobcron.jobs.job import Job, twin_of
from jobcron.jobs.lease import Claim
from jobcron.jobs.status import ENDED, NOT_STARTED
from jobcron.queue.outcome import NotStarted, Outcome, Superseded

SETTLE_SECONDS = 1.0
"""Seconds to wait, twice, for whatever a dead process has left in the database."""


def set_aside(
    database: TransactionSource,
    claim: Claim,
    outcome: Outcome,
    *,
    progress: int | None = None,
    log: str | None = None,
    oops_id: str | None = None,
    tries: int = TRIES,
) -> Outcome | None:
    """Write how an attempt ended, in a separate transaction.

    Retries if the connection is lost, or if another job with the same key is created meanwhile. The fence
    makes a second write of the same outcome harmless.

    Returns:
        The outcome that was written: the given one, or Superseded. None: the job is no longer ours.

    Raises:
        DatabaseUnavailable: the database cannot be reached; the lease decides.
    """
    return retry_in_transaction(
        database,
        str(claim),
        lambda connection: _write(connection, claim, outcome, progress, log, oops_id),
        tries,
    )


def _write(
    connection: Connection,
    claim: Claim,
    outcome: Outcome,
    progress: int | None,
    log: str | None,
    oops_id: str | None,
) -> Outcome | None:
    counted = outcome.counted
    if outcome.status in NOT_STARTED:
        twin = twin_of(connection, claim.id)
        if twin is not None:
            why = "" if counted else f"{outcome.kind}, "  # nothing else shows that it began
            outcome = Superseded(outcome.error, f"{why}superseded by {twin}")
    parameters = {
        "id": claim.id,
        "token": claim.token,
        "status": int(outcome.status),
        "ended": int(outcome.status in ENDED),
        "delayed": int(outcome.delay is not None),
        "delay": outcome.delay,
        "uncounted": int(not counted),
        "progress": progress,
        "log": log,
        "oops_id": oops_id,
    }
    if execute(connection, "set_aside", parameters).rowcount != 1:
        # A write whose COMMIT got no answer may still have arrived.
        row = _state(connection, claim)
        return outcome if row == (outcome.status, claim.token) else None
    if not isinstance(outcome, NotStarted):
        record(connection, claim, outcome.kind, outcome.note, oops_id)
    return outcome


def _state(connection: Connection, claim: Claim) -> tuple[JobStatus, int] | None:
    row = connection.execute(select(Job._status, Job.lease_token).where(Job.id == claim.id)).first()
    return None if row is None else (row[0], row[1])


def still_ours(database: TransactionSource, claim: Claim) -> bool:
    """Return whether the job was ours a moment ago, so that no failure of a lost job is reported."""
    state = retry_in_transaction(database, str(claim), lambda connection: _state(connection, claim))
    return state == (JobStatus.RUNNING, claim.token)


def settled(database: TransactionSource, claim: Claim) -> JobStatus | None:
    """Return the status of a job whose process has ended, once nothing of that process is still under way.

    The fence waits a while for a COMMIT that the database has received but not finished, or for a statement
    that still runs.

    Returns:
        None: the job is no longer ours; or the dead process's transaction is still open, and the lease decides.
    """

    def look(connection: Connection) -> tuple[JobStatus, int] | None:
        be_brief(connection, SETTLE_SECONDS)
        execute(connection, "fence", {"id": claim.id, "token": claim.token}).first()
        return _state(connection, claim)

    try:
        state = retry_in_transaction(database, str(claim), look, tries=2)
    except DatabaseUnavailable as error:
        if interruption_of(error) is not Interruption.LOCK_TIMEOUT:
            raise
        return None
    return state[0] if state is not None and state[1] == claim.token else None


def current_status(database: TransactionSource, claim: Claim) -> JobStatus | None:
    """Return a job's current status, whatever is under way; None: not ours any more, or unknown."""
    with suppress(DBAPIError, DatabaseUnavailable), database.begin(writing=False) as connection:
        state = _state(connection, claim)
        return state[0] if state is not None and state[1] == claim.token else None
    return None
