"""The loop: claim, run, outcome, finish.

One `JobRunner` runs the ready jobs of one source in this process, one after the other.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from zope.interface import implementer

from jobcron.aftermath import set_aside_and_tell
from jobcron.application import Application
from jobcron.attempt import ATTEMPT, Attempt
from jobcron.claim import Claim, Claimant
from jobcron.claimed import Unloadable
from jobcron.database import TransactionSource
from jobcron.errors import (
    DatabaseUnavailable,
    Interrupted,
    LeaseLost,
    TimeLimitExceeded,
)
from jobcron.failure import CLEAN_UP_SECONDS, cleans_up, let_clean_up
from jobcron.feed import Feed, feed_for
from jobcron.finish import complete, settled
from jobcron.insistence import insist
from jobcron.interfaces import IJobRunner, IRunnableJob, JobStatus
from jobcron.job import worker_name
from jobcron.keeper import Backlog, Keeper, give_back
from jobcron.logs import TOLD
from jobcron.metrics import current_observer
from jobcron.oops import ErrorUtility, globalErrorUtility
from jobcron.outcome import (
    BOUNDED_INTERRUPTIONS,
    Completed,
    Failed,
    Outcome,
    members_of,
    outcome_of,
    poisoned,
    seconds_of,
)
from jobcron.progress import terminal_progress
from jobcron.report import Reporter
from jobcron.runnable import BaseRunnableJob
from jobcron.runtime import Runtime
from jobcron.sessions import use_session
from jobcron.tables import Event
from jobcron.timeline import Timeline
from jobcron.trouble import first_line, follows_trouble, interruption_of
from jobcron.workplace import clear_frames, workplace

DEFAULT_LEASE_SECONDS = 300.0

# Raised between any two instructions, inside the database driver too: the connection cannot be trusted after them.
RAISED_ANYWHERE = (Interrupted, KeyboardInterrupt, LeaseLost, TimeLimitExceeded)


class Limits(NamedTuple):
    """What bounds a run; see ``configs/schema.conf``."""

    batch_size: int = 100
    crash_limit: int = 3
    grace_seconds: float = 30.0
    max_workers: int = 1
    max_runtime: float | None = None
    typical_seconds: float | None = None  # how long a job took in earlier runs


@implementer(IJobRunner)
class JobRunner:
    """Runs the ready jobs of one source.

    Args:
        source: the job class, or any object that provides `IJobSource`.
        database: where the jobs are; an `AmbientDatabase` for tests.
        application: entered around each job.
        logger: told of what happens; the root logger by default.
        limits: what bounds the run.
        errors: makes and publishes the reports.

    Attributes:
        completed: how many jobs completed, by class name.
        incomplete: how many did not, by class name.
    """

    def __init__(
        self,
        source: Any,
        database: TransactionSource,
        *,
        application: Application | None = None,
        logger: logging.Logger | None = None,
        limits: Limits | None = None,
        errors: ErrorUtility = globalErrorUtility,
    ) -> None:
        self.source = source
        self.database = database
        self.application = application or Application()
        self.logger = logger or logging.getLogger()
        self.limits = limits or Limits()
        self.reporter = Reporter(errors, self.logger)
        self.completed: Counter[str] = Counter()
        self.incomplete: Counter[str] = Counter()
        self._backlog = Backlog()
        self._lease_seconds = _seconds(source, "lease_duration") or DEFAULT_LEASE_SECONDS
        self._feed = self._make_feed()
        self._keeper: Keeper | None = None
        self._statements = Timeline(None)
        self._is_first = True
        self._is_emptied = False
        self._is_over = False
        self._runtime = Runtime(self.limits.max_runtime, self.limits.typical_seconds)
        self._progress = terminal_progress()
        self._observer = current_observer()

    @property
    def oops_ids(self) -> list[str]:
        """The ids of the reports that this run made."""
        return self.reporter.oops_ids

    @classmethod
    def for_source(
        cls,
        source: Any,
        database: TransactionSource,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> JobRunner:
        """Return a runner for the ready jobs of `source`; its ``runAll`` runs them.

        Args:
            source: see the class.
            database: see the class.
            logger: see the class.
            options: as of the class.
        """
        return cls(source, database, logger=logger, **options)

    @classmethod
    def runFromSource(
        cls,
        source: Any,
        database: TransactionSource,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> JobRunner:
        """Run the ready jobs of `source`, and return the runner, which says what became of them.

        Args: as of `for_source`.
        """
        runner = cls.for_source(source, database, logger, **options)
        runner.runAll()
        return runner

    def runAll(self) -> None:
        """Run ready jobs until none is left, or the run is stopped by a signal.

        Raises:
            DatabaseUnavailable: the database went away for good; claimed jobs are decided by their leases.
            KeyboardInterrupt: somebody pressed Ctrl-C; the job that ran was put back, or ended just then.
        """
        with workplace(
            self.database, self._backlog, self.limits.grace_seconds, self.logger, self._tell_failed_action
        ) as (session, self._statements, self._keeper):
            context = getattr(self.source, "contextManager", nullcontext)
            try:
                with context():
                    self._drain(session)
            finally:
                self._progress.close()
                self._give_back()
        # Only now: until here a signal was noted, from here on it is raised.
        if self._keeper is not None and self._keeper.interruptions.from_keyboard:
            raise KeyboardInterrupt

    def end(self) -> None:
        """Start nothing more; what is claimed goes back."""
        self._is_over = True

    def _drain(self, session: Session) -> None:
        while not (self._stopping or self._is_over):
            if not self._runtime.may_start():
                self._runtime.tell(self.logger)
                return
            entry = self._backlog.next() or self._refill(session)
            if entry is None:
                if self._backlog.has_returned() or self._backlog:
                    continue  # what the keeper had in its hands a moment ago may be ready
                return
            claim, runnable = entry
            if self._is_emptied:
                self._load_again(session, entry)
            if self._is_first or time.monotonic() < claim.taken + self._lease_seconds / 3:
                self._run_one(session, claim, runnable)
            else:
                # The jobs before it took long: it goes back, and is claimed again under a fresh lease.
                self._backlog.extend([entry])
                if not self._give_back():
                    raise DatabaseUnavailable("claimed jobs could not be given back; they wait for their leases")
            self._is_first = False

    def _refill(self, session: Session) -> tuple[Claim, Any] | None:
        """Take the next jobs, and return the first of them."""
        self._is_emptied, self._is_first = False, True
        entries = self._take(session)
        self._backlog.extend(entries[1:])
        return entries[0] if entries else None

    def _take(self, session: Session) -> list[tuple[Claim, Any]]:
        """Take the next jobs."""
        return insist(session, "no more jobs could be claimed", lambda: self._feed.take(session))

    def _run_one(self, session: Session, claim: Claim, runnable: Any) -> None:
        """Run one claimed job and write what became of it."""
        attempt = Attempt(claim, runnable, session, self._lease_seconds)
        attempt.must_stop = lambda: self._stopping
        session.info[ATTEMPT] = attempt
        self._statements.clear()
        if isinstance(runnable, BaseRunnableJob):
            runnable.attempt = attempt
        outcome = self._attempt(attempt)
        session.info[ATTEMPT] = None
        if isinstance(outcome, Completed):
            self.completed[type(runnable).__name__] += 1
            self._is_emptied |= attempt.is_written  # its commit's answer was lost, and the session rolled back
            if attempt.interrupted is not None:
                self._drop_connection(session)  # the keeper's word came too late, and must not hit the next job
        else:
            context = self.application.context
            self._let_clean_up(attempt, outcome)
            outcome = set_aside_and_tell(self.database, self.reporter, attempt, outcome, context)
            self._is_emptied = True
            self.incomplete[type(runnable).__name__] += 1
        seconds = time.monotonic() - attempt.started
        self._feed.took(seconds)
        self._runtime.took(seconds)
        self._observer.job_ended(attempt, outcome.kind, seconds)
        self._progress.show(self.completed.total(), self.incomplete.total())
        for error in [] if outcome.error is None else members_of(outcome.error):
            if isinstance(error, KeyboardInterrupt) and self._keeper is None:
                raise error  # in a test's transaction; elsewhere a pressed key ends the run in `runAll`

    def _attempt(self, attempt: Attempt) -> Outcome:
        """Run the job and commit its work; whatever is raised becomes an outcome."""
        job = attempt.runnable
        self.logger.debug("Running %s in status Running", attempt.name)
        self._observer.job_started(attempt)
        crashes = attempt.counts[1]
        if crashes >= self.limits.crash_limit:
            return poisoned(crashes)
        try:
            if self._stopping:
                raise Interrupted("the run was stopped before the job began")
            attempt.limit_to(_seconds(job, "time_limit"))
            with self._watched(attempt), use_session(attempt.session):
                with self.application.context():
                    attempt.run(self._runnable(job))
                attempt.session.flush()  # what it has left to be written is its work too
            if attempt.interrupted is not None:
                raise attempt.interrupted  # the job swallowed it
            return complete(self.database, attempt)
        except BaseException as raised:
            cause = _cause(attempt, raised)
            self._undo(attempt, raised, cause)
            if attempt.commit_begun and settled(self.database, attempt.claim) is JobStatus.COMPLETED:
                self._tell_failed_action(cause)  # of what listens to commits: the commit stands
                attempt.is_written = True
                return Completed()
            try:
                return self._outcome(cause, attempt)
            except BaseException as error:  # what the class says of its errors makes no sense
                return Failed(error)
            finally:
                with suppress(DBAPIError):  # it may have looked at its rows, and would hold SQLite's only lock
                    attempt.session.rollback()

    def _let_clean_up(self, attempt: Attempt, outcome: Outcome) -> None:
        """Let a job that has failed do what it does then, for as long as it may run."""
        if not cleans_up(attempt, outcome):
            return
        attempt.limit_to(attempt.time_limit or CLEAN_UP_SECONDS)
        try:
            with self._watched(attempt):
                let_clean_up(attempt, outcome, self.application.context, self.logger)
        except RAISED_ANYWHERE as error:
            self.logger.warning("%s did not do what it does after a failure: %s", attempt.name, error)
        if attempt.interrupted is not None:
            self._drop_connection(attempt.session)

    def _undo(self, attempt: Attempt, *errors: BaseException) -> None:
        """Roll back what the job did, and leave the session fit for the next one."""
        session = attempt.session
        attempt.statements = self._statements.entries()
        session.info[ATTEMPT] = None
        members = (member for error in errors for member in members_of(error))
        anywhere = any(isinstance(member, RAISED_ANYWHERE) for member in members)
        if not anywhere or self.database.is_ambient:
            try:
                session.rollback()
            except Exception:
                pass  # the connection is gone as well, or another who has joined the transaction cannot undo
            else:
                return
        for error in errors:
            clear_frames(error)  # a connection that was just being opened is known to nobody else
        self._drop_connection(session)
        with suppress(Exception):  # for what is told of it; without, less is told
            attempt.runnable = self.source.load(session, [attempt.claim.id])[attempt.claim.id]
            session.commit()

    def _drop_connection(self, session: Session) -> None:
        """Close the connection of the session, and let go of all that was loaded in it."""
        session.invalidate()
        self._give_back()  # their rows are in the session no more
        self._feed.forget()

    @staticmethod
    def _runnable(job: Any) -> Any:
        return job if isinstance(job, Unloadable) else IRunnableJob(job)

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
        others = select(func.coalesce(func.max(Event.id), 0)).where(mine, Event.kind != "interrupted")
        count = select(func.count()).where(
            mine, Event.detail.in_(BOUNDED_INTERRUPTIONS), Event.id > others.scalar_subquery()
        )
        try:
            with self.database.begin(writing=False) as connection:
                return connection.scalar(count) or 0
        except (DBAPIError, DatabaseUnavailable):
            return 0

    def _load_again(self, session: Session, entry: tuple[Claim, Any]) -> None:
        """Load what a rollback emptied, so that this job and those behind it begin without a transaction.

        Raises:
            DatabaseUnavailable: the database went away; the job is among those that go back.
        """

        numbers = [entry[0].id, *self._backlog.numbers()]

        def load() -> None:
            self.source.load(session, numbers)
            session.commit()

        if isinstance(entry[1], Unloadable):
            return
        try:
            insist(session, f"job {entry[0].id} could not be loaded again", load)
            self._is_emptied = False
        except DatabaseUnavailable:
            self._backlog.extend([entry])
            raise
        except Exception as error:  # a job meets it when it first looks at its rows: those before it run
            self.logger.debug("Claimed jobs could not be loaded at once: %s", first_line(error))

    def _give_back(self) -> bool:
        """Return what is claimed and not started; False: it could not be, and the leases decide."""
        try:
            give_back(self.database, self._backlog)
            return True
        except (DBAPIError, DatabaseUnavailable) as error:
            left = len(self._backlog)
            self.logger.warning(
                "%s claimed jobs wait for their leases to end: %s",
                left,
                first_line(error),
                extra=TOLD,
            )
            return False

    def _tell_failed_action(self, error: BaseException) -> None:
        self.logger.error(
            "An action after the commit failed; the commit stands:\n%s", self.reporter.error_text(error)
        )

    def _is_asked_to_stop(self) -> bool:
        """Tell whether a signal asked for it; in a test's transaction, where no keeper looks, one may have."""
        return self._keeper is None or self._stopping

    @property
    def _stopping(self) -> bool:
        return self._keeper is not None and self._keeper.interruptions.stopping

    def _make_feed(self) -> Feed:
        return feed_for(
            self.source,
            self.database,
            Claimant(worker_name(), self._lease_seconds),
            self.limits.batch_size,
            self.limits.crash_limit,
            self.logger,
        )

    @contextmanager
    def _watched(self, attempt: Attempt) -> Iterator[None]:
        """Let the keeper look after the attempt, and interrupt it, inside the block."""
        if self._keeper is None:
            yield
            return
        self._keeper.watch(attempt)
        try:
            with self._keeper.interruptions.running(attempt):
                yield
        finally:
            self._keeper.watch(None)


def _cause(attempt: Attempt, raised: BaseException) -> BaseException:
    """Return what ended an attempt: not always what was raised at last.

    A statement that the keeper stopped raises the driver's error, and a job's own cleaning up may raise any; after
    a trouble that the job swallowed, all that it does raises that the transaction has failed.
    """
    if attempt.interrupted is None and attempt.trouble is not None and follows_trouble(raised):
        return attempt.trouble
    return attempt.interrupted or raised


def _seconds(thing: Any, name: str) -> float | None:
    """Return a duration that a class or job has, in seconds, or None."""
    return seconds_of(getattr(thing, name, None))
