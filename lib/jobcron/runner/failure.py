"""The handling of an attempt that did not succeed: clean-up, report, row, log, mail, in this order.

The report is published before the row becomes FAILED, so that a row never names a missing report. Mail follows
the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.sessions import ATTEMPT, use_session
from jobcron.database.trouble import interruption_of
from jobcron.errors import LeaseLost
from jobcron.interfaces import JobStatus
from jobcron.queue.finish import set_aside, still_ours
from jobcron.queue.loading import effects_of
from jobcron.queue.outcome import Lost, Outcome, PoisonStopped
from jobcron.runner._telling import Ended, Report, Reporter, Variables
from jobcron.runner.attempt import Attempt, Commit

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
    """

    def __init__(
        self,
        database: TransactionSource,
        reporter: Reporter,
        around_job: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._database = database
        self._reporter = reporter
        self._around_job = around_job

    def ended(self, outcome: Outcome) -> Ended:
        """Return an outcome with the text of its error, the only place where that text is made."""
        return Ended(outcome, None if outcome.error is None else self._reporter.text_of(outcome.error))

    def action_failed(self, error: BaseException) -> None:
        """Log the error of an action after a commit; the commit stands."""
        self._reporter.tell_failed_action(error)

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
        if ended.outcome.reported and not still_ours(self._database, attempt.claim):
            ended = ended._replace(outcome=Lost(ended.outcome.error))
        report = self._report(attempt, ended)
        written = self._write(attempt, ended, report)
        self._tell(attempt, written, report)
        return written.outcome

    def _report(self, attempt: Attempt, ended: Ended) -> Report | None:
        """Publish the report of an unhandled error."""
        if ended.outcome.error is None or not ended.outcome.reported:
            return None
        return self._reporter.publish(attempt, ended.outcome.error, self._variables(attempt))

    def _write(self, attempt: Attempt, ended: Ended, report: Report | None) -> Ended:
        """Write the outcome, unless it is already written; return the written one, or Lost."""
        outcome, text = ended
        if isinstance(outcome, Lost) or attempt.commit is Commit.WRITTEN:
            return ended
        detail = report.unpublished if report is not None else None
        written = set_aside(
            self._database,
            attempt.claim,
            replace(outcome, detail=detail or ended.reason),
            progress=attempt.progress,
            log=None if text is None else text.traceback,
            oops_id=None if report is None else report.id,
        )
        return ended._replace(outcome=written or Lost(outcome.error))

    def _tell(self, attempt: Attempt, written: Ended, report: Report | None) -> None:
        """Log how the attempt ended, and call the job's notification methods."""
        self._reporter.tell_log(attempt, written, None if report is None else report.id)
        if not isinstance(written.outcome, Lost):
            self._tell_people(attempt, written.outcome, report)

    def _tell_people(self, attempt: Attempt, outcome: Outcome, report: Report | None) -> None:
        """Call the job's notification methods, again if the database interrupted them; log their errors."""
        for is_last in (False, True):
            try:
                with use_session(attempt.session), self._around_job():
                    self._reporter.tell_people(attempt, outcome, report)
                return
            except BaseException as failure:  # `sys.exit` as well: it ends neither job nor run
                kind = interruption_of(failure)
                if is_last or kind is None:
                    self._reporter.tell_nobody_told(attempt, failure, kind and kind.sentence)
                    return
            finally:
                _roll_back(attempt)

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
        return [*known, *effects]


def _roll_back(attempt: Attempt) -> None:
    with suppress(DBAPIError):  # the connection is gone; this closes the session all the same
        attempt.session.rollback()
