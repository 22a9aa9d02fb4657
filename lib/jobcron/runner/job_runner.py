"""The loop over ready jobs: claim some, run each, until there are no more.

One `JobRunner` runs the ready jobs of one source in this process, one after the other.
"""

from __future__ import annotations

import time
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from jobcron.database.retry import insist
from jobcron.database.trouble import first_line
from jobcron.errors import DatabaseUnavailable
from jobcron.queue.error_rules import members_of
from jobcron.queue.loading import Claimed, load_all
from jobcron.queue.outcome import Completed
from jobcron.reports.logs import TOLD
from jobcron.runner._backlog import Backlog, give_back
from jobcron.runner._context import Workplace, workplace
from jobcron.runner._executor import Executor
from jobcron.runner.attempt import Attempt
from jobcron.runner.source_runner import SourceRunner


class JobRunner(SourceRunner):
    """Runs the ready jobs of one source, in this process.

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
        oops_ids: the ids of the reports that this run made.
    """

    _backlog: Backlog
    _place: Workplace
    _executor: Executor
    _is_over = False

    def runAll(self) -> None:
        """Run ready jobs until none is left, or the run is stopped by a signal.

        Raises:
            DatabaseUnavailable: the database went away for good; claimed jobs are decided by their leases.
            KeyboardInterrupt: somebody pressed Ctrl-C; the job that ran was put back, or ended just then.
        """
        self._backlog = Backlog()
        tell = self.reporter.tell_failed_action
        with workplace(self.database, self._backlog, self.limits.grace_seconds, self.logger, tell) as self._place:
            self._executor = self._make_executor(self._place)
            try:
                with self.source_view.context():
                    self._drain()
            finally:
                self._progress.close()
                with suppress(Exception):  # on SQLite what goes back would wait for what it holds
                    self._place.session.rollback()
                self._give_back()
        # Only now: until here a signal was noted, from here on it is raised.
        if self._place.keeper is not None and self._place.keeper.interruptions.from_keyboard:
            raise KeyboardInterrupt

    def end(self) -> None:
        """Start nothing more; what is claimed goes back."""
        self._is_over = True

    def _drain(self) -> None:
        while not (self._must_stop() or self._is_over):
            if not self._runtime.may_start():
                self._runtime.tell(self.logger)
                return
            entry = self._backlog.next()
            is_fresh = entry is None  # claimed and loaded just now
            entry = entry or self._refill()
            if entry is None:
                if self._backlog.has_returned() or self._backlog:
                    continue  # what the keeper had in its hands a moment ago may be ready
                return
            if not is_fresh and not entry.job.is_loaded_in(self._place.session):
                entry = self._load_again(entry)
            if is_fresh or time.monotonic() < entry.claim.taken + self._lease_seconds / 3:
                self._run_one(entry)
            else:
                # The jobs before it took long: it goes back, and is claimed again under a fresh lease.
                self._backlog.extend([entry])
                if not self._give_back():
                    raise DatabaseUnavailable("claimed jobs could not be given back; they wait for their leases")

    def _refill(self) -> Claimed | None:
        """Take the next jobs, and return the first of them."""
        entries = self._take(self._place.session)
        self._backlog.extend(entries[1:])
        return entries[0] if entries else None

    def _run_one(self, claimed: Claimed) -> None:
        """Run one claimed job, and count it."""
        attempt = Attempt(claimed, self._place.session, self._lease_seconds)
        outcome = self._executor.execute(attempt)
        is_completed = isinstance(outcome, Completed)
        (self.completed if is_completed else self.incomplete)[attempt.class_name] += 1
        seconds = time.monotonic() - attempt.started
        self._feed.took(seconds)
        self._runtime.took(seconds)
        self.observer.job_ended(attempt.class_name, attempt.claim.id, outcome.kind, seconds)
        self._show_progress()
        for error in [] if outcome.error is None else members_of(outcome.error):
            if isinstance(error, KeyboardInterrupt) and self._place.keeper is None:
                raise error  # in a test's transaction; elsewhere a pressed key ends the run in `runAll`

    def _load_again(self, entry: Claimed) -> Claimed:
        """Load what an earlier job has emptied or thrown out of the session, for this job and those behind it.

        Raises:
            DatabaseUnavailable: the database went away; the job is among those that go back.
        """
        session = self._place.session
        claims = [claim for claim, job in (entry, *self._backlog.entries()) if not job.is_unloadable]

        def load() -> list[Claimed]:
            entries = load_all(self.source_view, session, claims)
            session.commit()  # each job begins its own transaction
            return entries

        try:
            first, *others = insist(session, f"{entry.claim} could not be loaded again", load)
        except BaseException:
            self._backlog.extend([entry])
            raise
        self._backlog.replace(others)
        return first

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

    def _must_stop(self) -> bool:
        return self._place.is_stopping

    def _make_executor(self, place: Workplace) -> Executor:
        return Executor(self, place, self._feed.forget)
