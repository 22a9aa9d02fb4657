"""The isolated runner: jobs run in child processes, which may hang, leak or die without harm to others (LP-24).

This process claims jobs, hands each to a child, renews the leases, and enforces what a child cannot be trusted to
enforce on itself: the limits of time, memory and output. A child that lives writes what became of its job, as
`JobRunner` does. Where it has died, or was killed, that is done here.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from types import FrameType
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from jobcron.database.database import Database, TransactionSource
from jobcron.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    Interrupted,
    LeaseLost,
    ProcessDied,
    ProcessNotStarted,
    TimeLimitExceeded,
)
from jobcron.interfaces import JobStatus
from jobcron.jobs import registry
from jobcron.jobs.history import EventKind
from jobcron.jobs.lease import lost
from jobcron.queue.error_rules import outcome_of
from jobcron.queue.finish import set_aside, settled, status_of
from jobcron.queue.loading import load_claimed
from jobcron.queue.outcome import Failed, NotStarted, poisoned
from jobcron.runner._failure import set_aside_and_tell
from jobcron.runner._renewal import renew, retry_soon
from jobcron.runner.attempt import Attempt
from jobcron.runner.isolated._messages import BadMessage
from jobcron.runner.isolated._slot import KILL_SECONDS, Worker, limit_of
from jobcron.runner.job_runner import JobRunner
from jobcron.runner.source_runner import Limits, SourceRunner
from jobcron.settings.instance import load_settings

POLL_SECONDS = 0.5
"""How exact the limits are."""


class ProcessJobRunner(SourceRunner):
    """Runs the ready jobs of one source in child processes.

    Args and attributes: as of `JobRunner`.
    """

    database: Database

    def __init__(self, source: Any, database: Database, *, limits: Limits | None = None, **options: Any) -> None:
        # One at a time: what is claimed is run at once, by a child that is free.
        limits = (limits or Limits())._replace(batch_size=1)
        super().__init__(source, database, limits=limits, **options)
        self._companion = database.companion()
        self._workers: list[Worker] = []
        self._stop_at: float | None = None
        self._from_keyboard = False
        self._trouble: Exception | None = None
        self._may_be_more = True
        self._is_over = False

    @classmethod
    def for_source(
        cls,
        source: Any,
        database: TransactionSource,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> SourceRunner:
        """Return a runner for the ready jobs of `source`; its ``runAll`` runs them.

        Inside a test's own transaction, which no other process sees, jobs run in this process, without limits.
        """
        if not isinstance(database, Database):
            return JobRunner.for_source(source, database, logger, **options)
        return cls(source, database, logger=logger, **options)

    def runAll(self) -> None:
        """Run ready jobs until none is left, or the run is stopped by a signal.

        Raises:
            UserMistake: a child could not begin to work, or the database went away for good.
            Exception: the source could not say which jobs are ready.
            KeyboardInterrupt: after the jobs that ran were put back.
        """
        with self._signals() as wakeup, closing(self.database.session()) as session:
            try:
                while self._hand_out(session) or self._workers:
                    self._wait(wakeup)
                    for worker in list(self._workers):
                        self._attend(worker)
            finally:
                self._progress.close()
                for worker in self._workers:
                    worker.end()
                self._companion.close()
        if self._trouble is not None:
            raise self._trouble
        if self._from_keyboard:
            raise KeyboardInterrupt

    def _hand_out(self, session: Session) -> bool:
        """Give each child that is free a job, as long as there are; tell whether any was given."""
        given = False
        while self._may_be_more and self._trouble is None and not self._must_stop():
            if not self._runtime.may_start():
                self._runtime.tell(self.logger)
                self._may_be_more, self._is_over = False, True
                break
            busy = [worker for worker in self._workers if worker.attempt]
            if len(busy) >= self.limits.max_workers:
                break
            attempt = self._attempt(session)
            if attempt is None:
                self._may_be_more = False
            elif attempt.counts[1] > self.limits.crash_limit:  # whoever loads it dies: see `TypeFeed`
                self._stop_poison(attempt)
            elif worker := self._worker_for(attempt):
                worker.hand(attempt, self.source)
                with suppress(DBAPIError):  # where a limit is read from rows, we would hold SQLite's only lock
                    session.rollback()
                given = True
        if not given:
            for worker in self._workers:
                if worker.is_free:
                    worker.let_go()  # a child that is kept for nothing is told so
        return given

    @contextmanager
    def _ending_the_run(self) -> Iterator[None]:
        """Keep an error inside the block until the children have ended, which are innocent of it."""
        try:
            yield
        except Exception as error:
            self._trouble = self._trouble or error

    def _attempt(self, session: Session) -> Attempt | None:
        """Claim the next job; None: there is none, or the run ends."""
        with self._ending_the_run():
            for claim, runnable in self._take(session):
                limit = limit_of(runnable, "time_limit")
                return Attempt(claim, runnable, session, self._lease_seconds, limit)
        return None

    def _must_stop(self) -> bool:
        return self._stop_at is not None

    def _worker_for(self, attempt: Attempt) -> Worker | None:
        """Return a child that is free; None: none can be started, the job went back, and the run ends."""
        for worker in self._workers:
            if worker.is_free:
                return worker
        with self._ending_the_run():
            try:
                return self._new_worker()
            except BaseException:
                set_aside(self.database, attempt.claim, NotStarted())
                raise
        return None

    def _stop_poison(self, attempt: Attempt) -> None:
        context = self.application.context
        with self._ending_the_run():
            set_aside_and_tell(self.database, self.reporter, attempt, poisoned(attempt.counts[1]), context)
        self.incomplete[type(attempt.runnable).__name__] += 1

    def _new_worker(self) -> Worker:
        order = {
            "path": [os.path.abspath(folder) for folder in sys.path],
            "config": load_settings().path,
            "database_url": self.database.url,
            "user": self.database.user,
            "origin": self.database.origin,
            "section": self.reporter.utility.section_name,
            "source": registry.address_of(self.source),
            "level": self.logger.getEffectiveLevel(),
            "crash_limit": self.limits.crash_limit,
            "grace_seconds": self.limits.grace_seconds,
        }
        try:
            worker = Worker(order, self.logger)
        except OSError as error:
            raise ProcessNotStarted(f"a process for isolated jobs could not be started: {error}") from error
        self._workers.append(worker)
        return worker

    def _wait(self, wakeup: int) -> None:
        watched: list[Any] = [wakeup]
        for worker in self._workers:
            watched += worker.watched
        readable, _, _ = select.select(watched, [], [], POLL_SECONDS)
        if wakeup in readable:
            os.read(wakeup, 1000)

    def _attend(self, worker: Worker) -> None:
        """Hear what a child says, look whether it lives, and enforce its limits."""
        has_ended = worker.has_ended  # first: what it said before that is there to be read
        if not self._listen(worker):
            return
        if has_ended:
            self._bury(worker, worker.cause_of_death())
            return
        # Twice: its job may have ended in between, and it has said so before.
        if self._reason_to_end(worker) is None or not self._listen(worker):
            return
        reason = self._reason_to_end(worker)
        if isinstance(reason, LeaseLost | TimeLimitExceeded) and self._has_ended(worker):
            worker.wind_up()
        elif reason is not None:
            self._bury(worker, reason)

    def _listen(self, worker: Worker) -> bool:
        """Hear what a child says; False: it was nonsense, and the child is no more."""
        try:
            for message in worker.messages():
                self._hear(worker, message)
        except BadMessage as error:
            self._bury(worker, worker.misunderstood(error))
            return False
        return True

    def _reason_to_end(self, worker: Worker) -> BaseException | None:
        """Return why a child has to be ended, or None; renew the lease of its job where that is due."""
        now = time.monotonic()
        if self._stop_at is not None and now >= self._stop_at:
            return Interrupted("the run was stopped")
        attempt = None if worker.is_winding_up else worker.attempt
        reason = worker.exceeded(now)
        if reason is None and attempt is not None and now >= attempt.renew_at:
            reason = self._renew(attempt)
        return reason

    def _has_ended(self, worker: Worker) -> bool:
        """Tell whether the end of a child's job is written: it has no lease then, and may do what follows."""
        if worker.attempt is None or not worker.is_over:  # one that runs was ended by somebody's hand
            return False
        status = status_of(self.database, worker.attempt.claim)
        return status is not None and status is not JobStatus.RUNNING

    def _hear(self, worker: Worker, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "running":
                if worker.attempt is not None:
                    attempt = worker.attempt
                    self.observer.job_started(attempt.class_name, attempt.claim.id, attempt.waited)
            case "done":
                self._hear_done(worker, message)
            case "trouble":
                status = message["status"]
                kind = ConfigurationError if status == ConfigurationError.exit_status else DatabaseUnavailable
                self._trouble = self._trouble or kind(message["text"])
                if worker.has_begun:
                    worker.attempt = None  # nobody knows what became of it: the lease decides

    def _hear_done(self, worker: Worker, message: dict[str, Any]) -> None:
        """Count a job that has ended.

        Raises:
            BadMessage: there is none, or it has not: the row says so.
        """
        attempt = worker.attempt
        if attempt is None:
            raise BadMessage("expected a job that it has, got the end of another one")
        is_completed = message["is_completed"]
        if is_completed and status_of(self.database, attempt.claim) is JobStatus.RUNNING:
            raise BadMessage("expected the end of its job, which runs")
        self._job_ended(worker)
        if message["outcome"] is not None:
            seconds = message["seconds"] or 0.0
            self.observer.job_ended(attempt.class_name, attempt.claim.id, message["outcome"], seconds)
        (self.completed if is_completed else self.incomplete)[type(attempt.runnable).__name__] += 1
        self.reporter.oops_ids.extend(map(str, message["oops_ids"]))
        worker.is_done(failed=not is_completed)

    def _job_ended(self, worker: Worker) -> None:
        self._may_be_more = not self._is_over
        if worker.attempt is not None and worker.has_begun:
            self._runtime.took(time.monotonic() - worker.attempt.started)
        self._show_progress()

    def _renew(self, attempt: Attempt) -> LeaseLost | None:
        """Renew a lease; return the error where it is lost."""
        try:
            return None if renew(self._companion, attempt) else lost(attempt.claim)
        except (DBAPIError, DatabaseUnavailable) as error:
            retry_soon(attempt)
            self.logger.debug("Job %s could not be looked after now: %s", attempt.claim.id, error)
            return None

    def _bury(self, worker: Worker, error: BaseException) -> None:
        """End a child and all that it has started; write what became of its job, if it had one."""
        # One that has worked before may have been told to leave by its last job: the next process shows.
        is_unfit = isinstance(error, ProcessDied) and not worker.has_worked
        if is_unfit and self._stop_at is None and self._trouble is None:
            said = worker.said(error)
            self._trouble = ProcessNotStarted(f"a process for isolated jobs did not begin to work: {said}")
        worker.end()
        self._workers.remove(worker)
        attempt = worker.attempt
        if attempt is None:
            return
        self._job_ended(worker)
        with self._ending_the_run():
            if worker.has_begun:
                self._settle(attempt, error)
            else:
                set_aside(self.database, attempt.claim, NotStarted())

    def _settle(self, attempt: Attempt, error: BaseException) -> None:
        status = settled(self.database, attempt.claim)
        name = type(attempt.runnable).__name__
        seconds = time.monotonic() - attempt.started
        if status is not None and status is not JobStatus.RUNNING:
            self.logger.info("%s ended as %s before its process did: %s", attempt.name, status.title, error)
        if status is JobStatus.COMPLETED:
            self.completed[name] += 1
            self.observer.job_ended(attempt.class_name, attempt.claim.id, EventKind.COMPLETED, seconds)
            return
        self.incomplete[name] += 1
        if status is not None and status is not JobStatus.RUNNING:
            self.observer.job_ended(attempt.class_name, attempt.claim.id, status.title.lower(), seconds)
            return
        with closing(self.database.session()) as session:
            _, attempt.runnable = load_claimed(self.source, session, attempt.claim)
            attempt.session = session
            session.commit()
            reason = error if status else LeaseLost(str(error))
            try:
                outcome = outcome_of(reason, attempt.runnable, attempt.counts, 0)
            except BaseException as nonsense:  # what the class says of its errors makes no sense
                outcome = Failed(nonsense)
            session.rollback()  # the job may have looked at its rows, to say what its errors mean
            context = self.application.context
            outcome = set_aside_and_tell(self.database, self.reporter, attempt, outcome, context)
        self.observer.job_ended(attempt.class_name, attempt.claim.id, outcome.kind, seconds)

    @contextmanager
    def _signals(self) -> Iterator[int]:
        """Take over SIGTERM and SIGINT, where this is the main thread; yield what they make readable."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        before: dict[signal.Signals, Any] = {}
        with suppress(ValueError):  # not the main thread: then nobody can stop the run
            for number in (signal.SIGTERM, signal.SIGINT):
                before[number] = signal.signal(number, self._on_signal)
        wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False) if before else -1
        try:
            yield reading
        finally:
            if before:
                signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reading)
            os.close(writing)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Hand a signal on; the children give their jobs the grace."""
        is_first = self._stop_at is None
        self._from_keyboard |= number == signal.SIGINT
        grace = self.limits.grace_seconds if is_first and not self._from_keyboard else 0.0
        self._stop_at = time.monotonic() + grace + KILL_SECONDS
        for worker in self._workers:
            worker.signal(signal.Signals(number))


TwistedJobRunner = ProcessJobRunner
"""The name of Launchpad's isolated runner."""
