"""Complete a job in its own transaction; resolve a COMMIT that got no answer."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.retry import retry_in_transaction
from jobcron.database.statements import execute
from jobcron.database.trouble import is_lost, mark_refusal
from jobcron.jobs.lease import lost
from jobcron.queue.finish import set_aside, settled, state_of
from jobcron.queue.outcome import Completed, Deleted, Outcome, Stopped
from jobcron.runner._fence import check_fence
from jobcron.runner.attempt import Attempt


def complete(database: TransactionSource, attempt: Attempt) -> Outcome:
    """Commit a job's work together with its new status, COMPLETED or the one that it asked for; or roll back both.

    Returns:
        Completed, Deleted; or Stopped, already written, if the connection was lost and the work was not committed.

    Raises:
        LeaseLost: the job is no longer ours.
        DatabaseUnavailable: it is unknown whether the work is committed; the lease decides.
        Exception: the database refused the work, for instance because of a constraint.
    """
    return _completed_alone(database, attempt) or _completed_in_transaction(database, attempt)


def _completed_alone(database: TransactionSource, attempt: Attempt) -> Outcome | None:
    """Complete a job that has begun no transaction, by one self-committing statement; None: that is impossible.

    The statement is the fence and the commit. If it changes no row, the long way finds out why.
    """
    if not attempt.ends_plainly:
        return None
    completing = _Completing(attempt)
    attempt.commit_begins()
    try:
        rows = database.execute_alone(attempt.session, "complete", {**completing.parameters, "steps": None})
    except DBAPIError as error:
        if not is_lost(error):
            raise
        return _settled(database, attempt, error, is_deleted=False)
    finally:
        attempt.commit_returned()
    if rows and completing.is_done(rows[0]):
        return Completed()
    attempt.nothing_was_committed()
    return None


def _completed_in_transaction(database: TransactionSource, attempt: Attempt) -> Outcome:
    session = attempt.session
    try:
        database.leave(session)
        is_deleted = not _written(session.connection(), attempt)
    except DBAPIError as error:
        mark_refusal(error)
        raise
    if is_deleted and not attempt.has_deleted_its_row(session.connection()):
        raise lost(attempt.claim)
    attempt.commit_begins()
    try:
        session.commit()
    except DBAPIError as error:
        if not is_lost(error):
            raise
        session.rollback()  # of a transaction that is over, or will be: the session serves the next job
        return _settled(database, attempt, error, is_deleted)
    finally:
        attempt.commit_returned()  # whatever the job does after a refused COMMIT passes the fence again
    return Deleted() if is_deleted else Completed()


def _written(connection: Connection, attempt: Attempt) -> bool:
    """Write the job's end as the last statement of its work; return False if this attempt has lost the job."""
    if attempt.own_move is not None:
        check_fence(connection, attempt)  # which writes what is still to be written
        return attempt.own_move.write(connection, attempt.claim, attempt.progress)
    completing = _Completing(attempt)
    parameters = {**completing.parameters, "steps": attempt.steps(connection, is_end=True)}
    return completing.is_done(execute(connection, "complete", parameters).first())


class _Completing:
    """The statement that completes a job, and says whether this run still holds the next one."""

    def __init__(self, attempt: Attempt) -> None:
        self._backlog = attempt.backlog
        first = self._backlog.first
        self._next = None if first is None else first.claim
        following = {"next": first and first.claim.id, "next_token": first and first.claim.token}
        self.parameters = {**attempt.parameters, **following}

    def is_done(self, row: Sequence[object] | None) -> bool:
        """Return whether the statement changed a row; note what it says about the next job."""
        if self._next is not None and row is not None and row[0]:
            self._backlog.saw(self._next)
        return row is not None


def _settled(database: TransactionSource, attempt: Attempt, error: DBAPIError, is_deleted: bool) -> Outcome:
    outcome = _find_out(database, attempt, error, is_deleted)
    attempt.outcome_is_written()
    return outcome


def _find_out(database: TransactionSource, attempt: Attempt, error: DBAPIError, is_deleted: bool) -> Outcome:
    """Find out the result of a COMMIT that got no answer.

    A row that is still RUNNING under our token is put back by a fenced write. Reading it is not enough: the
    COMMIT may still be on its way, and the write waits for it or shuts it out.
    """
    claim = attempt.claim
    # A job that moved itself may wait again, as one that is put back does: the row would not tell the two apart.
    if attempt.own_move is not None and settled(database, claim) is attempt.end_status:
        return Completed(detail="the answer to the commit was lost")
    stopped = Stopped(error, "the connection was lost while committing", 1.0)
    written = set_aside(database, claim, stopped)
    if written is not None:
        return written
    row = retry_in_transaction(database, str(claim), lambda connection: state_of(connection, claim))
    if row is not None and row == (attempt.end_status, claim.token):
        return Completed(detail="the answer to the commit was lost")
    if row is None and is_deleted:
        return Deleted(detail="the answer to the commit was lost")
    raise lost(claim)
