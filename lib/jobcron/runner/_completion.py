"""Complete a job in its own transaction; resolve a COMMIT that got no answer."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.retry import retry_in_transaction
from jobcron.database.statements import execute
from jobcron.database.trouble import is_lost, mark_refusal
from jobcron.interfaces import JobStatus
from jobcron.jobs.lease import Claim, lost
from jobcron.queue.finish import _state, set_aside
from jobcron.queue.outcome import Completed, Outcome, Stopped
from jobcron.runner.attempt import Attempt


def complete(database: TransactionSource, attempt: Attempt) -> Outcome:
    """Commit a job's work together with COMPLETED, or roll back both.

    Returns:
        Completed; or Stopped, already written, if the connection was lost and the work was not committed.

    Raises:
        LeaseLost: the job is no longer ours.
        DatabaseUnavailable: it is unknown whether the work is committed; the lease decides.
        Exception: the database refused the work, for instance because of a constraint.
    """
    session = attempt.session
    try:
        completed = execute(session.connection(), "complete", attempt.parameters)
    except DBAPIError as error:
        mark_refusal(error)
        raise
    if completed.rowcount != 1:
        raise lost(attempt.claim)
    attempt.commit_begins()
    try:
        session.commit()
    except DBAPIError as error:
        if not is_lost(error):
            raise
        session.rollback()  # of a transaction that is over, or will be: the session serves the next job
        outcome = _find_out(database, attempt.claim, error)
        attempt.outcome_is_written()
        return outcome
    finally:
        attempt.commit_returned()  # whatever the job does after a refused COMMIT passes the fence again
    return Completed()


def _find_out(database: TransactionSource, claim: Claim, error: DBAPIError) -> Outcome:
    """Find out the result of a COMMIT that got no answer.

    A row that is still RUNNING under our token is put back by a fenced write. Reading it is not enough: the
    COMMIT may still be on its way, and the write waits for it or shuts it out.
    """
    stopped = Stopped(error, "the connection was lost while committing", 1.0)
    written = set_aside(database, claim, stopped)
    if written is not None:
        return written
    row = retry_in_transaction(database, str(claim), lambda connection: _state(connection, claim))
    if row is not None and row == (JobStatus.COMPLETED, claim.token):
        return Completed(detail="the answer to the commit was lost")
    raise lost(claim)
