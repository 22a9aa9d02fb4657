"""One claimed job, from its start to its recorded outcome.

Run and commit; after a failure: clean up, report, write, notify.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Select, func, or_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jobcron.database.clock import age_in_seconds
from jobcron.database.connecting.own_wait import own_busy
from jobcron.database.sessions import ACTIONS, ATTEMPT, working_in
from jobcron.database.tables import Event
from jobcron.database.trouble import Interruption, follows_trouble, interruption_of
from jobcron.errors import (
    DatabaseUnavailable,
    Interrupted,
    LeaseLost,
    MissingCode,
    SelfDeadlock,
    TimeLimitExceeded,
)
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind, last_events
from jobcron.jobs.lease import Claim
from jobcron.queue.error_rules import BOUNDED_INTERRUPTIONS, members_of, outcome_of, waiting_for_code
from jobcron.queue.finish import settled, status_under
from jobcron.queue.outcome import Completed, Deleted, Failed, NotStarted, Outcome, poisoned
from jobcron.reports.current_job import working_on
from jobcron.runner._completion import complete
from jobcron.runner._context import RunContext, clear_frames
from jobcron.runner._fence import Commit
from jobcron.runner._telling import Ended, current_job
from jobcron.runner.attempt import Attempt
from jobcron.runner.failure import CLEAN_UP_SECONDS, FailureHandler, has_clean_up
from jobcron.runner.source_runner import Guard, Limits
from jobcron.runner.surroundings.boundary import Surroundings, in_own_context

# Raised between any two instructions, even inside the database driver: the connection cannot be trusted
# afterwards.
RAISED_ANYWHERE = (Interrupted, KeyboardInterrupt, LeaseLost, SelfDeadlock, TimeLimitExceeded)


class Executor:
    """Runs claimed jobs in this process, one at a time, and writes the outcome of each.

    Args:
        context: the working context of the jobs.
        failure: handles attempts that did not succeed.
        guard: accompanies the jobs.
        limits: the limits of the run.
        forget: called when the loaded objects have left the context's session.
        surroundings: of the jobs; they are put back after each.
    """

    def __init__(
        self,
        context: RunContext,
        failure: FailureHandler,
        guard: Guard,
        limits: Limits,
        forget: Callable[[], None],
        surroundings: Surroundings,
    ) -> None:
        self._context = context
        self._database = context.database
        self._failure = failure
        self._guard = guard
        self._limits = limits
        self._forget = forget
        self._surroundings = surroundings

    def execute(self, attempt: Attempt) -> Outcome:
        """Run a job, write its outcome, and report it.

        Raises:
            DatabaseUnavailable: the database is gone for good; the lease decides.
        """
        with working_on(current_job(attempt)):
            outcome = in_own_context(self._execute, attempt)
            if outcome.kind != Completed.kind or ACTIONS in attempt.session.info:
                self._surroundings.put_back(attempt.name)  # its hooks and actions have run since
        return outcome

    def _execute(self, attempt: Attempt) -> Outcome:
        self._begin(attempt)
        try:
            ended = self._run_and_commit(attempt)
            if isinstance(ended.outcome, Completed):
                if isinstance(ended.outcome, Deleted):
                    self._failure.row_is_gone(attempt)
                elif attempt.has_moved:
                    moved = "%s moved itself to %s; its work is committed."
                    self._context.logger.info(moved, attempt.name, attempt.end_status.title)
                if attempt.interrupted is not None:
                    self._drop_connection(attempt)  # the keeper's signal is late, and must not hit the next job
                return ended.outcome
            self._clean_up(attempt, ended.outcome)
            return self._failure.conclude(attempt, ended)
        finally:
            self._database.job_ended()

    def _begin(self, attempt: Attempt) -> None:
        """Open the fence for the job's transactions."""
        session = attempt.session
        if session.in_transaction():
            session.rollback()  # it began outside any attempt, and no fence would watch it
        session.info[ATTEMPT] = attempt
        self._context.statements.clear()
        attempt.status_elsewhere = self._status_elsewhere
        attempt.job.attach(attempt)
        self._context.logger.debug("Running %s in status Running", attempt.name)

    def _run_and_commit(self, attempt: Attempt) -> Ended:
        """Run the job and commit its work; turn any error into an outcome, and undo the work."""
        crashes = attempt.counts.crashes
        try:
            if crashes >= self._limits.crash_limit:
                return self._failure.ended(poisoned(crashes))
            if self._context.keeper.is_stopping:  # since it was claimed
                return self._failure.ended(NotStarted())
            self._run(attempt)
            self._surroundings.put_back(attempt.name)
            return self._failure.ended(complete(self._database, attempt))
        except BaseException as raised:
            self._surroundings.put_back(attempt.name)  # first: what follows writes to the log
            cause = self._own_busy(attempt, raised) or _cause(attempt, raised)
            self._undo(attempt, raised, cause)
            if self._is_committed(attempt):
                self._failure.action_failed(cause)  # raised by a listener to commits: the commit stands
                return Ended(Deleted() if attempt.is_deleted else Completed())
            return self._judge(attempt, cause)
        finally:
            attempt.session.info[ATTEMPT] = None

    def _run(self, attempt: Attempt) -> None:
        """Run the job and flush its last changes; the commit follows."""
        keeper, guard = self._context.keeper, self._guard
        attempt.clock.limit_to(attempt.job.time_limit)
        with keeper.watching(attempt), guard.around(attempt.job), working_in(attempt.session):
            attempt.job.check_code(is_bare=attempt.is_bare)
            with self._context.around_job():
                attempt.run()
            attempt.session.flush()  # unflushed changes are part of its work
        if attempt.interrupted is not None:
            raise attempt.interrupted  # the job swallowed it
        guard.job_returned(cleans_up=False)

    def _own_busy(self, attempt: Attempt, raised: BaseException) -> BaseException | None:
        """Return the error for a job that waited for a SQLite lock that it holds itself; None for other errors."""
        if attempt.interrupted is not None:
            return None
        return own_busy(raised, attempt.driver, self._context.statements.last)

    def _status_elsewhere(self, claim: Claim) -> JobStatus | None:
        """Return a job's status as other transactions see it; in a test's own transaction there are none.

        Raises:
            DBAPIError, DatabaseUnavailable: there is no other connection now, which says nothing of the lease.
        """
        if self._database.is_ambient:
            return JobStatus.RUNNING
        with self._database.begin(writing=False) as connection:
            return status_under(connection, claim)

    def _is_committed(self, attempt: Attempt) -> bool:
        """Return whether the work of a job that raised was committed nevertheless."""
        if attempt.commit is Commit.NOT_TRIED:
            return False
        asked = attempt.end_status
        status = settled(self._database, attempt.claim)
        if status is not asked and not (status is None and attempt.is_deleted):
            return False
        attempt.outcome_is_written()
        return True

    def _judge(self, attempt: Attempt, cause: BaseException) -> Ended:
        """Return the outcome for the error that ended an attempt, with the error's text."""
        try:
            return self._failure.judged(attempt, self._outcome(cause, attempt))
        except DatabaseUnavailable:
            raise
        except BaseException as error:  # the class declares its error types wrongly
            return self._failure.ended(Failed(error))
        finally:
            with suppress(DBAPIError):  # it may have read its rows, and would hold SQLite's only lock
                attempt.session.rollback()

    def _undo(self, attempt: Attempt, *errors: BaseException) -> None:
        """Roll back the job's work, and leave the session ready for the next job."""
        session = attempt.session
        self._database.job_ended()
        attempt.failed(self._context.statements.entries())
        session.info[ATTEMPT] = None
        members = [member for error in errors for member in members_of(error)]
        anywhere = any(isinstance(member, RAISED_ANYWHERE) for member in members)
        if not anywhere or self._database.is_ambient:
            try:
                session.rollback()
            except Exception:
                pass  # the connection is gone as well, or another participant of the transaction cannot undo
            else:
                if any(isinstance(member, PoolTimeout) for member in members):
                    self._database.close()  # the job may keep all that it had; there is a new pool now
                return
        for error in errors:
            clear_frames(error)  # only the traceback refers to a connection that was being opened
        self._drop_connection(attempt)
        with suppress(Exception):  # needed only for the report, which says less without it
            jobs = self._context.source.load(session, [attempt.claim.id])
            attempt.loaded_again(jobs[attempt.claim.id], session)
            session.commit()

    def _drop_connection(self, attempt: Attempt) -> None:
        """Close the session's connection, and drop everything loaded in it."""
        attempt.session.invalidate()
        self._database.close()  # if no transaction was open, the connection is in the pool again
        self._forget()

    def _outcome(self, error: BaseException, attempt: Attempt) -> Outcome:
        is_stopped = any(isinstance(e, Interrupted | KeyboardInterrupt) for e in members_of(error))
        if is_stopped and not self._may_be_stopped():
            return Failed(error)  # raised by the job itself
        if all(isinstance(member, MissingCode) for member in members_of(error)):
            return waiting_for_code(error, self._waited_for_code(attempt.claim), self._limits.wait_for_code)
        interruptions = 0
        if interruption_of(error) is not None:
            interruptions = self._interruptions_of(attempt.claim)
        return outcome_of(error, attempt.job, attempt.counts, interruptions)

    def _may_be_stopped(self) -> bool:
        """Return whether a signal asked the run to stop; without a keeper to receive signals, assume so."""
        keeper = self._context.keeper
        return (keeper.is_stopping or not keeper.hears_signals) and self._guard.confirms_stop()

    def _interruptions_of(self, claim: Claim) -> int:
        """Return how many interruptions by the database, such as deadlocks, the job has had in a row."""
        is_bounded = or_(
            Event.detail.in_(BOUNDED_INTERRUPTIONS),
            Event.detail.startswith(f"{Interruption.CONNECTION_LOST.value}: "),  # with the server's reason
        )
        count = select(func.count()).where(*last_events(claim, EventKind.INTERRUPTED), is_bounded)
        return int(self._asked(count))

    def _waited_for_code(self, claim: Claim) -> float:
        """Return for how many seconds the job has waited for code that can run it."""
        first = select(age_in_seconds(func.min(Event.at))).where(*last_events(claim, EventKind.WAITS_FOR_CODE))
        return self._asked(first)

    def _asked(self, question: Select[int] | Select[float]) -> float:
        """Return a number from a job's history; 0 if the history has none, or the database does not answer."""
        try:
            with self._database.begin(writing=False) as connection:
                return connection.scalar(question) or 0
        except (DBAPIError, DatabaseUnavailable):
            return 0

    def _clean_up(self, attempt: Attempt, outcome: Outcome) -> None:
        """Call the failure hook of a job that has failed, within the hook's time limit."""
        cleans_up = has_clean_up(attempt, outcome)
        self._guard.job_returned(cleans_up=cleans_up)
        if not cleans_up:
            return
        try:
            attempt.clock.limit_to(attempt.clock.time_limit or CLEAN_UP_SECONDS)
            with self._context.keeper.watching(attempt), self._guard.around(attempt.job):
                self._failure.clean_up(attempt, outcome)
        except BaseException as error:  # an interruption; or an invalid time limit
            text = "The failure hook of %s did not complete: %s"
            self._context.logger.warning(text, attempt.name, error)
        self._surroundings.put_back(attempt.name)
        if attempt.interrupted is not None:
            self._drop_connection(attempt)


def _cause(attempt: Attempt, raised: BaseException) -> BaseException:
    """Return the error that ended an attempt, which is not always the last one raised.

    A statement that the keeper stopped raises the driver's error, and a job's own clean-up may raise any.
    After an interruption that the job swallowed, every statement raises because the transaction has failed.
    """
    if attempt.interrupted is None and attempt.trouble is not None and follows_trouble(raised):
        return attempt.trouble
    if attempt.interrupted is not None and attempt.interrupted.__traceback__ is None:
        return attempt.interrupted.with_traceback(
            raised.__traceback__
        )  # it was not raised: where the other one was
    return attempt.interrupted or raised
