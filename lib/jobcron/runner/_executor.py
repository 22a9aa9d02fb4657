"""One claimed job, from its beginning to what became of it: run, commit or undo, clean up, tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from jobcron.database.sessions import ATTEMPT, use_session
from jobcron.database.tables import Event
from jobcron.database.trouble import follows_trouble, interruption_of
from jobcron.errors import DatabaseUnavailable, Interrupted, LeaseLost, TimeLimitExceeded
from jobcron.interfaces import IRunnableJob, JobStatus
from jobcron.jobs.history import EventKind
from jobcron.jobs.lease import Claim
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.queue.error_rules import BOUNDED_INTERRUPTIONS, members_of, outcome_of, seconds_of
from jobcron.queue.finish import settled
from jobcron.queue.loading import Unloadable
from jobcron.queue.outcome import Completed, Failed, Outcome, poisoned
from jobcron.runner._completion import complete
from jobcron.runner._context import Workplace, clear_frames
from jobcron.runner._failure import CLEAN_UP_SECONDS, cleans_up, let_clean_up, set_aside_and_tell
from jobcron.runner.attempt import Attempt
from jobcron.runner.source_runner import SourceRunner

# Raised between any two instructions, inside the database driver too: the connection cannot be trusted after them.
RAISED_ANYWHERE = (Interrupted, KeyboardInterrupt, LeaseLost, TimeLimitExceeded)


class Executor:
    """Runs claimed jobs in this process, one at a time, and writes what became of each.

    Args:
        runner: whose jobs they are; it knows the source, the application and the limits.
        place: where they work.
        forget: called when what was loaded in the place's session has left it.
    """

    def __init__(self, runner: SourceRunner, place: Workplace, forget: Callable[[], None]) -> None:
        self._runner = runner
        self._database = runner.database
        self._context = runner.application.context
        self._place = place
        self._forget = forget

    def execute(self, attempt: Attempt) -> Outcome:
        """Run a job, write what became of it, and tell of it.

        Raises:
            DatabaseUnavailable: the database went away for good; the lease decides.
        """
        session = attempt.session
        if session.in_transaction():
            session.rollback()  # it began for nobody, and no fence would watch it
        session.info[ATTEMPT] = attempt
        self._place.statements.clear()
        attempt.must_stop = lambda: self._place.is_stopping
        if isinstance(attempt.runnable, BaseRunnableJob):
            attempt.runnable.attempt = attempt
        outcome = self._attempt(attempt)
        session.info[ATTEMPT] = None
        if not isinstance(outcome, Completed):
            self._let_clean_up(attempt, outcome)
            return set_aside_and_tell(self._database, self._runner.reporter, attempt, outcome, self._context)
        if attempt.interrupted is not None:
            self._drop_connection(attempt)  # the keeper's word came too late, and must not hit the next job
        return outcome

    def _attempt(self, attempt: Attempt) -> Outcome:
        """Run the job and commit its work; whatever is raised becomes an outcome."""
        self._runner.logger.debug("Running %s in status Running", attempt.name)
        self._runner.observer.job_started(attempt.class_name, attempt.claim.id, attempt.waited)
        crashes = attempt.counts[1]
        if crashes >= self._runner.limits.crash_limit:
            return poisoned(crashes)
        try:
            self._run(attempt)
            return complete(self._database, attempt)
        except BaseException as raised:
            cause = _cause(attempt, raised)
            self._undo(attempt, raised, cause)
            if attempt.commit_begun and settled(self._database, attempt.claim) is JobStatus.COMPLETED:
                self._runner.reporter.tell_failed_action(cause)  # of what listens to commits: the commit stands
                attempt.is_written = True
                return Completed()
            try:
                return self._outcome(cause, attempt)
            except BaseException as error:  # what the class says of its errors makes no sense
                return Failed(error)
            finally:
                with suppress(DBAPIError):  # it may have looked at its rows, and would hold SQLite's only lock
                    attempt.session.rollback()

    def _run(self, attempt: Attempt) -> None:
        """Run the job, to the last of its statements; it is committed next."""
        job = attempt.runnable
        if self._place.is_stopping:
            raise Interrupted("the run was stopped before the job began")
        attempt.limit_to(seconds_of(getattr(job, "time_limit", None)))
        with self._watched(attempt), use_session(attempt.session):
            with self._context():
                attempt.run(job if isinstance(job, Unloadable) else IRunnableJob(job))
            attempt.session.flush()  # what it has left to be written is its work too
        if attempt.interrupted is not None:
            raise attempt.interrupted  # the job swallowed it

    def _undo(self, attempt: Attempt, *errors: BaseException) -> None:
        """Roll back what the job did, and leave the session fit for the next one."""
        session = attempt.session
        attempt.statements = self._place.statements.entries()
        session.info[ATTEMPT] = None
        members = (member for error in errors for member in members_of(error))
        anywhere = any(isinstance(member, RAISED_ANYWHERE) for member in members)
        if not anywhere or self._database.is_ambient:
            try:
                session.rollback()
            except Exception:
                pass  # the connection is gone as well, or another who has joined the transaction cannot undo
            else:
                return
        for error in errors:
            clear_frames(error)  # a connection that was just being opened is known to nobody else
        self._drop_connection(attempt)
        with suppress(Exception):  # for what is told of it; without, less is told
            attempt.runnable = self._runner.source.load(session, [attempt.claim.id])[attempt.claim.id]
            session.commit()

    def _drop_connection(self, attempt: Attempt) -> None:
        """Close the connection of the session, and let go of all that was loaded in it."""
        attempt.session.invalidate()
        self._database.close()  # where no transaction was open, the connection is in the pool again
        self._forget()

    def _outcome(self, error: BaseException, attempt: Attempt) -> Outcome:
        is_stopped = any(isinstance(e, Interrupted | KeyboardInterrupt) for e in members_of(error))
        if is_stopped and not self._is_asked_to_stop():
            return Failed(error)  # the job raised it
        interruptions = 0
        if interruption_of(error) is not None:
            interruptions = self._interruptions_of(attempt.claim)
        return outcome_of(error, attempt.runnable, attempt.counts, interruptions)

    def _interruptions_of(self, claim: Claim) -> int:
        """Return how many deadlocks and the like there were in a row."""
        mine = Event.job_id == claim.id
        others = select(func.coalesce(func.max(Event.id), 0)).where(mine, Event.kind != EventKind.INTERRUPTED)
        count = select(func.count()).where(
            mine, Event.detail.in_(BOUNDED_INTERRUPTIONS), Event.id > others.scalar_subquery()
        )
        try:
            with self._database.begin(writing=False) as connection:
                return connection.scalar(count) or 0
        except (DBAPIError, DatabaseUnavailable):
            return 0

    def _let_clean_up(self, attempt: Attempt, outcome: Outcome) -> None:
        """Let a job that has failed do what it does then, for as long as it may run."""
        if not cleans_up(attempt, outcome):
            return
        logger = self._runner.logger
        try:
            attempt.limit_to(attempt.time_limit or CLEAN_UP_SECONDS)
            with self._watched(attempt):
                let_clean_up(attempt, outcome, self._context, logger)
        except BaseException as error:  # an interruption; or a limit that makes no sense
            logger.warning("%s did not do what it does after a failure: %s", attempt.name, error)
        if attempt.interrupted is not None:
            self._drop_connection(attempt)

    def _is_asked_to_stop(self) -> bool:
        """Tell whether a signal asked for it; in a test's transaction, where no keeper looks, one may have."""
        return self._place.keeper is None or self._place.is_stopping

    @contextmanager
    def _watched(self, attempt: Attempt) -> Iterator[None]:
        """Let the keeper look after the attempt, and interrupt it, inside the block."""
        keeper = self._place.keeper
        if keeper is None:
            yield
            return
        keeper.watch(attempt)
        try:
            with keeper.interruptions.running(attempt):
                yield
        finally:
            keeper.watch(None)


def _cause(attempt: Attempt, raised: BaseException) -> BaseException:
    """Return what ended an attempt: not always what was raised at last.

    A statement that the keeper stopped raises the driver's error, and a job's own cleaning up may raise any; after
    a trouble that the job swallowed, all that it does raises that the transaction has failed.
    """
    if attempt.interrupted is None and attempt.trouble is not None and follows_trouble(raised):
        return attempt.trouble
    return attempt.interrupted or raised
