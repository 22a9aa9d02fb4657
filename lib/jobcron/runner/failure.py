"""The handling of an attempt that did not succeed: clean-up, report, row, log, mail, in this order.

The report is published before the row becomes FAILED, so that a row never names a missing report. Mail follows
the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from uuid import uuid4

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DBAPIError

from jobcron.database.clock import database_after
from jobcron.database.database import TransactionSource
from jobcron.database.retry import retry_in_transaction
from jobcron.database.sessions import ATTEMPT, use_session
from jobcron.database.tables import Mail
from jobcron.database.trouble import interruption_of
from jobcron.errors import DatabaseUnavailable, LeaseLost
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind, moved_by_hand, record
from jobcron.jobs.job import Job
from jobcron.jobs.lease import lost
from jobcron.jobs.moves.lanes import into_lane, lane_of, usual_channel
from jobcron.queue.finish import end_half_done, set_aside, still_ours
from jobcron.queue.loading import effects_of
from jobcron.queue.outcome import Failed, Lost, Outcome, PoisonStopped, SlowLane, WaitsForCode
from jobcron.reports.current_job import Variables
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.mail import Unsent, keeping_unsent
from jobcron.runner._fence import Commit
from jobcron.runner._telling import Ended, Report, Reporter
from jobcron.runner.attempt import Attempt

FIRST_PAUSE = 60.0
"""Seconds until a mail that could not be sent is tried again."""

CLEAN_UP_SECONDS = 60.0
"""How many seconds the failure hook of a job without a time limit may take."""


def has_clean_up(attempt: Attempt, outcome: Outcome) -> bool:
    """Return whether a job with this outcome has a failure hook to call."""
    if outcome.status is not JobStatus.FAILED or isinstance(outcome, PoisonStopped):
        return False
    return attempt.job.failure_hook is not None


class FailureHandler:
    """Handles an attempt that did not succeed, once its work is rolled back.

    Args:
        database: the database of the jobs.
        reporter: publishes reports, logs, and calls the job's notification methods.
        around_job: returns the application's context manager, which is entered around the job's own methods.
        channel: of the section's jobs that have none themselves.
    """

    def __init__(
        self,
        database: TransactionSource,
        reporter: Reporter,
        around_job: Callable[[], AbstractContextManager[object]],
        channel: str = "",
    ) -> None:
        self._database = database
        self._channel = channel
        self._reporter = reporter
        self._around_job = around_job

    def ended(self, outcome: Outcome) -> Ended:
        """Return an outcome with the text of its error, the only place where that text is made."""
        return Ended(outcome, None if outcome.error is None else self._reporter.text_of(outcome.error))

    def judged(self, attempt: Attempt, outcome: Outcome) -> Ended:
        """Return an outcome with its text; give a job that moves to its slow lane the type of that lane.

        Raises:
            DatabaseUnavailable: the database cannot be reached; the lease decides.
        """
        lane = lane_of(attempt.job.job) if isinstance(outcome, SlowLane) else None
        if lane is not None:
            _roll_back(attempt)  # it may have read its rows to judge the error, and hold SQLite's lock
            try:
                usual = usual_channel(attempt.job.job, self._channel)
                move = partial(into_lane, claim=attempt.claim, slow=lane, usual=usual)
                retry_in_transaction(self._database, str(attempt.claim), move)
            except DatabaseUnavailable:
                raise
            except Exception as error:  # the role may lack a right
                error.add_note(f"The job was to go on in its slow lane, as {lane.type_name}: {outcome.error}")
                outcome = Failed(error)
        return self.ended(outcome)

    def action_failed(self, error: BaseException) -> None:
        """Log the error of an action after a commit; the commit stands."""
        self._reporter.tell_failed_action(error)

    def row_is_gone(self, attempt: Attempt) -> None:
        """Log that a job deleted its own row."""
        text = "%s deleted its own row: it is over, and its status and its history are gone."
        self._reporter.logger.warning(text, attempt.name, extra=NO_OOPS)

    def clean_up(self, attempt: Attempt, outcome: Outcome) -> None:
        """Call the job's failure hook in a separate transaction; its errors are logged and change nothing.

        Args:
            attempt: the attempt that failed.
            outcome: how it ended.
        """
        hook = attempt.job.failure_hook
        if hook is None:
            return
        session = attempt.session
        session.info[ATTEMPT] = attempt
        try:
            with use_session(session), self._around_job():
                hook(outcome.error)
            session.commit()
        except LeaseLost:
            pass  # the fence of the outcome detects this as well
        except BaseException:  # `sys.exit` as well: it ends neither job nor run
            text = "%s could not do what it does after a failure; it has failed all the same"
            self._reporter.logger.exception(text, attempt.name)
        finally:
            session.info[ATTEMPT] = None
            _roll_back(attempt)

    def conclude(self, attempt: Attempt, ended: Ended) -> Outcome:
        """Report, write and log how an attempt ended, and notify people.

        Returns:
            The outcome that was written, or Lost.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is reported further, and the lease
                decides.
        """
        is_ours = attempt.is_deleted or not ended.outcome.reported or still_ours(self._database, attempt.claim)
        if not is_ours:
            ended = ended._replace(outcome=Lost(ended.outcome.error))
        report = self._report(attempt, ended)
        written = self._write(attempt, ended, report)
        if isinstance(written.outcome, Lost):
            self.let_go(attempt)
            written = written._replace(moved=self._moved_by_hand(attempt))
        self._tell(attempt, written, report)
        return written.outcome

    def let_go(self, attempt: Attempt) -> None:
        """Give up the lease of a job that was cancelled half done, so that the next run may call its failure hook.

        Raises:
            DatabaseUnavailable: the database cannot be reached; the lease decides.
        """
        end = partial(end_half_done, claim=attempt.claim, is_again=True)
        retry_in_transaction(self._database, str(attempt.claim), end)

    def _moved_by_hand(self, attempt: Attempt) -> str | None:
        """Return who moved a job while it ran; None: nobody, it was taken over, or its history is unreadable."""
        with suppress(DBAPIError, DatabaseUnavailable), self._database.begin(writing=False) as connection:
            return moved_by_hand(connection, attempt.claim)
        return None

    def _report(self, attempt: Attempt, ended: Ended) -> Report | None:
        """Publish the report of an unhandled error."""
        if ended.outcome.error is None or not ended.outcome.reported:
            return None
        return self._reporter.publish(attempt, ended.outcome.error, self._variables(attempt))

    def _write(self, attempt: Attempt, ended: Ended, report: Report | None) -> Ended:
        """Write the outcome, unless it is already written; return the written one, or Lost."""
        outcome, text = ended.outcome, ended.text
        if isinstance(outcome, Lost) or attempt.commit is Commit.WRITTEN:
            return ended
        detail = report.unpublished if report is not None else None
        written = set_aside(
            self._database,
            attempt.claim,
            replace(outcome, detail=detail or ended.reason),
            progress=attempt.progress,
            log=None if text is None or isinstance(outcome, WaitsForCode) else text.traceback,
            oops_id=None if report is None else report.id,
            on_refused=lambda error: self._reporter.tell_refused(attempt, error),
        )
        if written is None and attempt.is_deleted:
            self.row_is_gone(attempt)
            return ended
        return ended._replace(outcome=written or Lost(outcome.error))

    def _tell(self, attempt: Attempt, written: Ended, report: Report | None) -> None:
        """Log how the attempt ended, and call the job's notification methods."""
        self._reporter.tell_log(attempt, written, None if report is None else report.id)
        if not isinstance(written.outcome, Lost):
            self._tell_people(attempt, written.outcome, report)

    def _tell_people(self, attempt: Attempt, outcome: Outcome, report: Report | None) -> None:
        """Call the job's notification methods, once more if the database interrupts them, and commit their work.

        Errors are logged and written to the job's history, and so are mails that could not be sent.
        """
        for is_last in (False, True):
            try:
                with keeping_unsent() as unsent:
                    with use_session(attempt.session), self._around_job():
                        self._reporter.tell_people(attempt, outcome, report)
                    _commit_if_ours(attempt)
            except BaseException as failure:  # `sys.exit` as well: it ends neither job nor run
                _roll_back(attempt)
                kind = interruption_of(failure)
                if is_last or kind is None:
                    self._reporter.tell_nobody_told(attempt, failure, kind and kind.sentence)
                    self._note_nobody_told(attempt, kind.sentence if kind else self._line_of(failure))
                    break
            else:
                break
        self._keep(attempt, unsent)

    def _keep(self, attempt: Attempt, unsent: list[Unsent]) -> None:
        """Keep mails that could not be sent, for later runs."""
        claim = attempt.claim

        def write(connection: Connection) -> None:
            due = database_after(FIRST_PAUSE)
            for mail in unsent:
                row = {"job_id": claim.id, "lease_token": claim.token, "message": mail.content, "tries": 1}
                connection.execute(insert(Mail).values(key=uuid4().hex, due=due, **row))
                record(connection, claim, EventKind.MAIL_WAITS, self._line_of(mail.error))

        for mail in unsent:
            self._reporter.tell_nobody_told(attempt, mail.error, None)
        if unsent:
            self._write_history(attempt, write)

    def _note_nobody_told(self, attempt: Attempt, reason: str) -> None:
        self._write_history(
            attempt, lambda connection: record(connection, attempt.claim, EventKind.NOT_TOLD, reason)
        )

    def _write_history(self, attempt: Attempt, write: Callable[[Connection], None]) -> None:
        """Write to the job's history after its outcome; if that cannot be done, only log it."""
        try:
            retry_in_transaction(self._database, str(attempt.claim), write)
        except (DBAPIError, DatabaseUnavailable) as error:
            text = "The history of %s cannot be written: %s"
            self._reporter.logger.warning(text, attempt.name, self._line_of(error), extra=NO_OOPS)

    def _line_of(self, error: BaseException) -> str:
        return self._reporter.text_of(error).line or type(error).__name__

    def _variables(self, attempt: Attempt) -> Variables:
        """Return the variables that the job adds to its report, whatever state it is in."""
        known: Variables = [("job_id", attempt.claim.id)]
        effects: Variables = []
        try:
            with use_session(attempt.session), self._around_job():
                effects = [("effects", effects_of(attempt.job.database_only, attempt.facts.uuid))]
                said = attempt.job.oops_variables()
                known = known if said is None else said
        except BaseException as error:
            known.append(("getOopsVars", f"failed: {type(error).__name__}"))
        _roll_back(attempt)
        attempt.told = [*known, *effects]
        return attempt.told


def _roll_back(attempt: Attempt) -> None:
    with suppress(DBAPIError):  # the connection is gone; this closes the session all the same
        attempt.session.rollback()


def _commit_if_ours(attempt: Attempt) -> None:
    """Commit what notification methods wrote, unless the job has been taken by another run meanwhile.

    Raises:
        LeaseLost: it has; nothing is committed.
        Exception: the database refused it.
    """
    session = attempt.session
    session.flush()
    if not session.in_transaction():
        return
    ours = select(Job.id).where(Job.id == attempt.claim.id, Job.lease_token == attempt.claim.token)
    if session.scalar(ours.with_for_update(key_share=True)) is None and not attempt.is_deleted:
        raise lost(attempt.claim)
    session.commit()
