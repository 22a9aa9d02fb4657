"""The loop over ready jobs: claim some, run each, until there are no more.

One `JobRunner` runs the ready jobs of one source in this process, one after the other.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from jobcron.database.database import TransactionSource
from jobcron.database.retry import retry_in_session
from jobcron.database.trouble import first_line, is_unusable
from jobcron.errors import DatabaseUnavailable, DatabaseUnusable
from jobcron.queue.error_rules import members_of
from jobcron.queue.finish import held_of
from jobcron.queue.loading import Claimed, FeedOrder, Objects, load_claimed
from jobcron.queue.objects.detaching import detached, refers_to
from jobcron.queue.outcome import Completed, NotStarted, Outcome, WaitsForCode
from jobcron.reports.logs import NO_OOPS
from jobcron.runner._backlog import Backlog, give_back
from jobcron.runner._context import RunContext, run_context
from jobcron.runner._executor import Executor
from jobcron.runner.attempt import Attempt
from jobcron.runner.grouped.groups import EndedJob, GroupWork, NoGroups, groups_for
from jobcron.runner.source_runner import Guard, JobEnd, SourceRunner
from jobcron.runner.surroundings.boundary import Surroundings

LOOK_SECONDS = 0.01
"""How old the knowledge may be that the next job of a batch is ours; if it is older, it is looked again."""
# why: decisions 2026-11-30, who completes a job is told of the next

DRAINED_SECONDS = 0.05
"""For how long a claim that left nothing is not repeated where the run hears of jobs that come later."""


class JobRunner(SourceRunner):
    """Runs the ready jobs of one source, in this process.

    Args:
        source: the job class, or any object that provides `IJobSource`.
        database: the database of the jobs; an `AmbientDatabase` for tests.
        application: the application's context manager, entered around each job.
        logger: the logger; by default the root logger.
        limits: the limits of the run.
        errors: creates and publishes OOPS reports.
        feed: hands out the jobs; by default the feed that suits the source.
        guard: accompanies the jobs, besides the keeper: see `Guard`.

    Attributes:
        completed: how many jobs completed, by class name.
        incomplete: how many jobs did not complete, by class name.
        oops_ids: the ids of the reports that this run made.
    """

    _backlog: Backlog
    _context: RunContext
    _executor: Executor
    _groups: NoGroups = NoGroups()
    _is_over = False
    _drained_until = 0.0

    def __init__(
        self, source: object, database: TransactionSource, *, guard: Guard | None = None, **options: Any
    ) -> None:
        super().__init__(source, database, **options)
        self._guard = guard or Guard()

    def _feed_order(self) -> FeedOrder:
        # A test's database has one connection, which no other thread may use.
        return super()._feed_order()._replace(awaits=not self.database.is_ambient)

    def runAll(self) -> None:
        """Run ready jobs until none is left, or the run is stopped by a signal.

        Raises:
            DatabaseUnavailable: the database is gone for good; claimed jobs are decided by their leases.
            KeyboardInterrupt: somebody pressed Ctrl-C; the running job was put back, or had just ended.
        """
        self._backlog = Backlog()
        with run_context(
            self.database,
            self.source_view,
            self.application.context,
            self.logger,
            backlog=self._backlog,
            grace_seconds=self.limits.grace_seconds,
            has_lost_section=self.has_lost_section,
            on_failed_action=self.reporter.tell_failed_action,
        ) as self._context:
            try:
                with (
                    self.source_view.context(),
                    closing(Surroundings(self.logger, self.database.engine)) as surroundings,
                ):
                    self._executor = self._new_executor(surroundings)
                    self._groups = self._new_groups(surroundings)
                    self._guard.run_begins()
                    self._drain()
            finally:
                self.progress.close()
                self._groups.end()
                with suppress(Exception):  # on SQLite, releasing jobs would wait for the lock that it holds
                    self._context.sessions.shared.rollback()
                self._give_back()
        self.was_stopped = self._context.keeper.is_stopping
        # Only now: up to here a signal was recorded, from here on it raises.
        if self._context.keeper.from_keyboard:
            raise KeyboardInterrupt

    def end(self) -> None:
        """Start no more jobs, and release the claimed ones."""
        self._is_over = True

    def _new_executor(self, surroundings: Surroundings) -> Executor:
        return Executor(self._context, self.failure, self._guard, self.limits, self.feed.forget, surroundings)

    def _new_groups(self, surroundings: Surroundings) -> NoGroups:
        work = GroupWork(self._context, self._guard, surroundings, self.claimant, self._must_stop)
        return groups_for(work, self.feed, self.limits.batch_size, self._count_ended, self._ended_in_group)

    def _count_ended(self) -> int:
        return self.completed.total() + self.incomplete.total()

    def _ended_in_group(self, ended: EndedJob) -> None:
        """Count a job that was completed together with others."""
        claim, name, waited, seconds = ended
        self.observer.job_started(name, claim.id, waited)
        self._guard.job_begins()
        self.count(name, is_completed=True, waited=waited, seconds=seconds)
        self.runtime.took(seconds)
        self.observer.job_ended(name, claim.id, Completed.kind, seconds)
        self.show_progress()
        self._guard.job_ended(JobEnd(claim, Completed(), seconds, []))

    def _drain(self) -> None:
        while not (self._must_stop() or self._is_over):
            if not self.runtime.may_start():
                self.runtime.tell(self.logger)
                return
            self._look()
            entry = self._backlog.next()
            if entry is None and self._groups.run():
                self._drained_until = 0.0
                continue
            is_fresh = entry is None  # claimed and loaded just now
            if entry is None and time.monotonic() >= self._drained_until:
                entry = self._refill()
            if entry is None:
                self._drained_until = 0.0
                if self._backlog.has_returned() or self._backlog:
                    continue  # a job that the keeper was just releasing may be ready
                if not self._guard.waits_for_more(self._must_stop):
                    return
                if self._guard.knows_of_more:
                    self.feed.look_back()
                continue
            if is_fresh or time.monotonic() < entry.claim.taken + self.lease_seconds / 3:
                self._run_one(entry)
            else:
                # The jobs before it took long: it is released, and claimed again under a fresh lease.
                # why: decisions 2026-11-22, a claimed job whose turn comes late
                self._backlog.extend([entry])
                if not self._give_back():
                    raise DatabaseUnavailable("claimed jobs could not be given back; they wait for their leases")

    def _look(self) -> None:
        """Drop claimed jobs that somebody moved while they waited for the jobs before them.

        Mostly it is known of the first that it is ours, by the statement that completed the one before it.
        """
        first = self._backlog.first
        if first is None or self.database.is_ambient or self._backlog.has_seen(first, LOOK_SECONDS):
            return
        for gone in self._backlog.look(lambda claims: held_of(self.database, claims)):
            text = "%s (ID %s) was moved by somebody else before it began: it does not begin."
            self.logger.info(text, gone.job.class_name, gone.claim.id)

    def _refill(self) -> Claimed | None:
        """Take the next jobs, and return the first of them."""
        self._guard.before_claim(self._must_stop)
        if self._is_over:
            return None
        shared = self._context.sessions.shared
        self._context.sessions.written.clear()  # what is loaded now is newer
        began = time.monotonic()
        entries = detached(shared, self.take(shared, self._must_stop))
        if self._guard.hears_of_jobs and self.feed.has_taken_all:
            self._drained_until = began + DRAINED_SECONDS
        self._backlog.extend(entries[1:])
        return entries[0] if entries else None

    def _run_one(self, claimed: Claimed) -> None:
        """Run one claimed job in a separate session, and count it."""
        written = self._context.sessions.written
        # In a test's transaction it is not told what a job's own statements have changed from what others have.
        is_stale = self.database.is_ambient or (written and refers_to(claimed, written))
        if is_stale and claimed.objects is Objects.OWN:
            # A job before it changed what was loaded for this one.
            # why: decisions 2026-11-29, jobs of one batch about one object
            claimed = claimed._replace(objects=Objects.UNREAD)
        with self._context.sessions.of(claimed) as session:
            if claimed.objects is Objects.UNREAD:
                claimed = self._load(claimed, session)
            self._attempt(claimed, session)

    def _attempt(self, claimed: Claimed, session: Session) -> None:
        known = len(self.oops_ids)
        attempt = Attempt(claimed, session, self.lease_seconds, must_stop=self._must_stop, backlog=self._backlog)
        facts = attempt.facts
        self.observer.job_started(facts.class_name, facts.claim.id, facts.waited)
        self._guard.job_begins()
        outcome = self._executor.execute(attempt)
        if not isinstance(outcome, Completed) or attempt.own_move is not None:
            self._drained_until = 0.0  # it may be ready again, and nobody tells
        seconds = attempt.clock.elapsed
        if not isinstance(outcome, NotStarted | WaitsForCode):  # it was not started
            is_completed = isinstance(outcome, Completed)
            self.count(facts.class_name, is_completed=is_completed, waited=facts.waited, seconds=seconds)
        self.feed.took(seconds)
        self.runtime.took(seconds)
        self.observer.job_ended(facts.class_name, facts.claim.id, outcome.kind, seconds)
        self.show_progress()
        self._guard.job_ended(JobEnd(facts.claim, outcome, seconds, self.oops_ids[known:]))
        self._raise_pressed_key(outcome)
        self._raise_unusable(attempt, outcome)

    def _raise_pressed_key(self, outcome: Outcome) -> None:
        """End the run after Ctrl-C if there is no keeper to receive the signal; otherwise `runAll` does."""
        if self._context.keeper.hears_signals or outcome.error is None:
            return
        for error in members_of(outcome.error):
            if isinstance(error, KeyboardInterrupt):
                raise error

    def _raise_unusable(self, attempt: Attempt, outcome: Outcome) -> None:
        """End the run if the job found the database damaged, even if it went on and completed."""
        error = outcome.error if is_unusable(outcome.error) else attempt.trouble
        if is_unusable(error):
            text = f"{attempt.name} found the database {self.database.where} unfit for use: {first_line(error)}"
            raise DatabaseUnusable(text) from error

    def _load(self, claimed: Claimed, session: Session) -> Claimed:
        """Load a job in the session of its attempt.

        Raises:
            DatabaseUnavailable: the database is gone; the job is released with the others.
        """

        def load() -> Claimed:
            loaded = load_claimed(self.source_view, session, claimed.claim)
            session.commit()  # the job begins its own transaction
            return loaded

        try:
            return retry_in_session(session, f"{claimed.claim} could not be loaded", load)
        except BaseException:
            self._backlog.extend([claimed])
            raise

    def _give_back(self) -> bool:
        """Release claimed jobs that have not started; return False if the database refused: the leases decide."""
        try:
            give_back(self.database, self._backlog)
            return True
        except (DBAPIError, DatabaseUnavailable) as error:
            text, left = "%s claimed jobs wait for their leases to end: %s", len(self._backlog)
            self.logger.warning(text, left, first_line(error), extra=NO_OOPS)
            return False

    def _must_stop(self) -> bool:
        return self._context.keeper.is_stopping or self.has_lost_section()
