"""The isolated runner: jobs run in child processes, which may hang, leak or die without harm to others (LP-24).

This process claims jobs, hands each to a child, renews the leases, and enforces the limits that a child cannot
be trusted to enforce on itself: time, memory and output. A child writes the outcome of its job, as `JobRunner`
does. If the child died or was killed, this process writes the outcome.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, cast

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from jobcron.database.database import Database, TransactionSource
from jobcron.errors import (
    Interrupted,
    LeaseLost,
    ProcessDied,
    ProcessNotStarted,
    TimeLimitExceeded,
)
from jobcron.interfaces import JobStatus
from jobcron.queue.finish import current_status, set_aside
from jobcron.queue.outcome import Completed, NotStarted, WaitsForCode
from jobcron.runner.attempt import Attempt, forget_renewal
from jobcron.runner.isolated._deaths import Deaths
from jobcron.runner.isolated._leases import await_process, begin, renew_or_lose
from jobcron.runner.isolated._messages import BadMessage, Message, order_of, trouble_of
from jobcron.runner.isolated._slot import KILL_SECONDS, Slot
from jobcron.runner.isolated._slots import Slots
from jobcron.runner.job_runner import JobRunner
from jobcron.runner.signals import readable_signals, stop_handlers
from jobcron.runner.source_runner import Limits, SourceRunner

POLL_SECONDS = 0.5
"""The precision of the limits, in seconds."""


class ProcessJobRunner(SourceRunner):
    """Runs the ready jobs of one source in child processes.

    Args and attributes: as for `JobRunner`.
    """

    database: Database

    def __init__(
        self, source: object, database: Database, *, limits: Limits | None = None, **options: Any
    ) -> None:
        limits = (limits or Limits())._replace(batch_size=1)  # a claimed job runs at once, in a free child
        super().__init__(source, database, limits=limits, **options)
        self._companion = database.companion()
        self._deaths = Deaths(database, self.source_view, self.failure, self.logger)
        lock = None if limits.tenure is None else limits.tenure.lock
        self._slots = Slots(partial(order_of, self, database), self.logger, lock)
        self._stop_at: float | None = None
        self._trouble: Exception | None = None
        self._may_be_more, self._is_over, self._from_keyboard = True, False, False

    @classmethod
    def for_source(
        cls,
        source: object,
        database: TransactionSource,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> SourceRunner:
        """Return a runner for the ready jobs of `source`; its ``runAll`` runs them.

        Inside a test's own transaction, which no other process sees, jobs run in this process, without limits.
        """
        if database.is_ambient:
            return JobRunner.for_source(source, database, logger, **options)
        return cls(source, cast("Database", database), logger=logger, **options)

    def runAll(self) -> None:
        """Run ready jobs until none is left, or the run is stopped by a signal.

        Raises:
            UserMistake: a child could not begin to work, or the database is gone for good.
            Exception: the source could not list its ready jobs.
            KeyboardInterrupt: somebody pressed Ctrl-C; the running jobs were put back.
        """
        handlers = stop_handlers(self._on_signal)
        with readable_signals(handlers) as wakeup, closing(self.database.session()) as session:
            try:
                while self._hand_out(session) or self._slots:
                    self._slots.wait(wakeup, POLL_SECONDS)
                    for slot in self._slots:
                        self._attend(slot)
            finally:
                self.was_stopped = self._stop_at is not None
                self.progress.close()
                self._slots.end_all()
                self._companion.close()
        if self._trouble is not None:
            raise self._trouble
        if self._from_keyboard:
            raise KeyboardInterrupt

    def _hand_out(self, session: Session) -> bool:
        """Give each free child a job while there are any; return whether any job was given."""
        given = False
        while self._may_be_more and self._trouble is None and not self._must_stop():
            if not self.runtime.may_start():
                self.runtime.tell(self.logger)
                self._may_be_more, self._is_over = False, True
                break
            if self._slots.busy >= self.limits.max_workers:
                break
            attempt = self._attempt(session)
            if attempt is None:
                self._may_be_more = False
            elif attempt.counts.crashes >= self.limits.crash_limit:  # needs no child, which may not even start
                self._stop_poison(attempt)
            elif slot := self._slot_for(attempt):
                limits = attempt.job.process_limits(self.source_view)
                with suppress(DBAPIError):  # if a limit was read from rows, we would hold SQLite's only lock
                    session.rollback()
                if not slot.is_ready:
                    await_process(self._companion, attempt.claim)
                slot.hand(attempt, limits)
                given = True
        if not given:
            self._slots.let_go()
        return given

    @contextmanager
    def _ending_the_run(self) -> Iterator[None]:
        """Delay an error that is raised inside the block until the children have ended their jobs."""
        try:
            yield
        except Exception as error:
            self._trouble = self._trouble or error

    def _attempt(self, session: Session) -> Attempt | None:
        """Claim the next job; return None if there is none, or if the run ends."""
        with self._ending_the_run():
            for claimed in self.take(session, self._must_stop):
                limits = claimed.job.process_limits(self.source_view)
                return Attempt(claimed, session, self.lease_seconds, limits.seconds)
        return None

    def _must_stop(self) -> bool:
        return self._stop_at is not None or self.has_lost_section()

    def _slot_for(self, attempt: Attempt) -> Slot | None:
        """Return a free child; None: none can be started, the job was released, and the run ends."""
        with self._ending_the_run():
            try:
                return self._slots.free()
            except BaseException:
                set_aside(self.database, attempt.claim, NotStarted())
                raise
        return None

    def _stop_poison(self, attempt: Attempt) -> None:
        name, number = attempt.facts.class_name, attempt.claim.id
        self.observer.job_started(name, number, attempt.facts.waited)
        with self._ending_the_run():
            self.observer.job_ended(name, number, self._deaths.stop_poison(attempt), attempt.clock.elapsed)
        self.count(name, is_completed=False, waited=attempt.facts.waited, seconds=0.0)

    def _attend(self, slot: Slot) -> None:
        """Read a child's messages, check that it is alive, and enforce its limits."""
        has_ended = slot.has_ended  # first: its earlier messages are there to be read
        if not self._listen(slot):
            return
        if has_ended:
            self._bury(slot, slot.cause_of_death())
            return
        # Twice: its job may have ended in between, and the message arrived earlier.
        if self._reason_to_end(slot) is None or not self._listen(slot):
            return
        reason = self._reason_to_end(slot)
        if isinstance(reason, LeaseLost | TimeLimitExceeded) and self._has_ended(slot):
            slot.wind_up()
        elif reason is not None:
            self._bury(slot, reason)

    def _listen(self, slot: Slot) -> bool:
        """Read a child's messages; return False if one was invalid and the child was ended."""
        try:
            for message in slot.messages():
                self._hear(slot, message)
        except BadMessage as error:
            self._bury(slot, slot.misunderstood(error))
            return False
        return True

    def _reason_to_end(self, slot: Slot) -> BaseException | None:
        """Return the reason to end a child, or None; renew the lease of its job if it is due."""
        now = time.monotonic()
        if self.has_lost_section() or (self._stop_at is not None and now >= self._stop_at):
            return Interrupted("the run was stopped")
        attempt = None if slot.is_winding_up else slot.attempt
        reason = slot.exceeded(now)
        if reason is None and attempt is not None and now >= attempt.clock.renew_at:
            reason = renew_or_lose(self._companion, attempt, self.logger)
        return reason

    def _has_ended(self, slot: Slot) -> bool:
        """Return whether the end of a child's job is written: it then has no lease, and may finish up."""
        if slot.attempt is None or not slot.is_over:  # if it still runs, its row was ended by hand
            return False
        return current_status(self.database, slot.attempt.claim) not in (None, JobStatus.RUNNING)

    def _hear(self, slot: Slot, message: Message) -> None:
        match message["kind"]:
            case "ready" if slot.attempt is not None and not self._must_stop():
                if begin(self._companion, slot.attempt.claim):
                    slot.begin()
                else:
                    slot.forget_job()
            case "running":
                if slot.attempt is not None:
                    facts = slot.attempt.facts
                    self.observer.job_started(facts.class_name, facts.claim.id, facts.waited)
            case "done":
                self._hear_done(slot, message)
            case "trouble":
                self._trouble = self._trouble or trouble_of(message)
                if slot.has_begun:
                    slot.forget_job()  # its outcome is unknown: the lease decides

    def _hear_done(self, slot: Slot, message: Message) -> None:
        """Count a job that has ended.

        Raises:
            BadMessage: the child has no job, or the row says that it has not ended.
        """
        attempt = slot.attempt
        if attempt is None:
            raise BadMessage("expected a job that it has, got the end of another one")
        is_completed = message["is_completed"]
        if is_completed and current_status(self.database, attempt.claim) is JobStatus.RUNNING:
            raise BadMessage("expected the end of its job, which runs")
        self._job_ended(slot)
        forget_renewal(self._companion, attempt)
        facts, seconds = attempt.facts, message["seconds"] or 0.0
        if message["outcome"] is not None:
            self.observer.job_ended(facts.class_name, attempt.claim.id, message["outcome"], seconds)
        if message["outcome"] not in (NotStarted.kind, WaitsForCode.kind):  # it was not started
            self.count(facts.class_name, is_completed=is_completed, waited=facts.waited, seconds=seconds)
        self.reporter.oops_ids.extend(map(str, message["oops_ids"]))
        slot.is_done(failed=not is_completed)

    def _job_ended(self, slot: Slot) -> None:
        self._may_be_more = not self._is_over
        if slot.attempt is not None and slot.has_begun:
            self.runtime.took(slot.attempt.clock.elapsed)
        self.show_progress()

    def _bury(self, slot: Slot, error: BaseException) -> None:
        """End a child and its processes; write the outcome of its job, if it had one."""
        # A child that has worked may have been told to exit by its last job: only a new process shows.
        is_unfit = isinstance(error, ProcessDied) and not slot.has_worked
        if is_unfit and self._stop_at is None and self._trouble is None:
            said = slot.said(error)
            self._trouble = ProcessNotStarted(f"a process for isolated jobs did not begin to work: {said}")
        self._slots.end(slot)
        attempt = slot.attempt
        if attempt is None:
            return
        self._job_ended(slot)
        with self._ending_the_run():
            if slot.has_begun:
                self._conclude(attempt, error)
            else:
                set_aside(self.database, attempt.claim, NotStarted())
        forget_renewal(self._companion, attempt)

    def _conclude(self, attempt: Attempt, error: BaseException) -> None:
        """Write, count and report the outcome of a job that lost its process."""
        facts, seconds = attempt.facts, attempt.clock.elapsed
        kind = self._deaths.conclude(attempt, error)
        self.count(facts.class_name, is_completed=kind == Completed.kind, waited=facts.waited, seconds=seconds)
        self.observer.job_ended(facts.class_name, facts.claim.id, kind, seconds)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Pass a signal on; the children give their jobs the grace."""
        is_first = self._stop_at is None
        if number == signal.SIGHUP and not is_first:
            return
        self._from_keyboard |= number == signal.SIGINT
        grace = self.limits.grace_seconds if is_first and not self._from_keyboard else 0.0
        self._stop_at = time.monotonic() + grace + KILL_SECONDS
        self._slots.signal(signal.Signals(number))


TwistedJobRunner = ProcessJobRunner
"""The name of Launchpad's isolated runner."""
