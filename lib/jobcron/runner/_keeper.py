"""The keeper: two threads, with a separate connection, that look after the running job.

One interrupts a job that lost its lease, exceeded its time limit, or outlived the grace after SIGTERM; it never
waits for the database. The other renews the lease, writes the progress, and releases claimed jobs that wait
behind a slow one. The connection is opened only when there is something to write, so short jobs never pay for
it.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jobcron.database.connecting import own_wait
from jobcron.database.connecting.own_wait import backend_of, cancel, place_of, waits_in_python
from jobcron.database.database import TransactionSource
from jobcron.errors import DatabaseUnavailable, Interrupted, SelfDeadlock, TimeLimitExceeded
from jobcron.jobs.history import EventKind, record
from jobcron.jobs.lease import lost
from jobcron.reports.plurals import counted
from jobcron.runner._backlog import Backlog, give_back
from jobcron.runner.attempt import Attempt, forget_renewal, renew
from jobcron.runner.signals import STOP_SIGNALS, Interruptions
from jobcron.runner.surroundings import real

GIVE_BACK_SECONDS = 5.0
"""A job that runs longer than this many seconds is slow: the jobs claimed behind it are released."""

POLL_SECONDS = 1.0
"""The keeper's precision in seconds."""

OWN_WAIT_SECONDS = 10.0
"""How long a job may wait for what looks like its own transaction."""

INTERRUPT_AGAIN_SECONDS = 5.0
"""Seconds that an interrupted job has for its own clean-up."""

CLOSE = b"\0"

STOP_SECONDS = 5.0
"""Seconds that the end of a run waits for a keeper that hangs in the database."""


class NoKeeper:
    """A stand-in for the keeper in a test's own transaction, which no other connection can see.

    Attributes:
        hears_signals: whether it receives signals; if not, one may have asked the run to stop, unheard.
        is_stopping: whether the run was asked to stop.
        from_keyboard: whether somebody pressed Ctrl-C.
    """

    hears_signals = False
    is_stopping = False
    from_keyboard = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Do nothing."""
        yield

    @contextmanager
    def watching(self, attempt: Attempt) -> Iterator[None]:
        """Do nothing."""
        yield


# why: decisions 2026-11-25, the keeper is two threads
class Keeper:
    """Looks after one job at a time, until it is stopped.

    Attributes: as for `NoKeeper`.

    Args:
        open_database: opens the keeper's own connection when it is first needed.
        backlog: claimed jobs that have not started.
        grace_seconds: how long a job may go on after SIGTERM.
        has_lost_section: returns whether the run has lost its section to another one.
        logger: logs renewals that failed.
    """

    def __init__(
        self,
        open_database: Callable[[], TransactionSource],
        backlog: Backlog,
        grace_seconds: float,
        has_lost_section: Callable[[], bool],
        logger: logging.Logger,
    ) -> None:
        self._has_lost_section = has_lost_section
        self._open_database = open_database
        self._database: TransactionSource | None = None
        self._backlog = backlog
        self._grace_seconds = grace_seconds
        self._logger = logger
        self._mailbox, self._letters = os.pipe()
        os.set_blocking(self._letters, False)
        self._attempt: Attempt | None = None
        self._written_progress: int | None = None
        self._stop_at: float | None = None
        self._told_stopping: Attempt | None = None
        self._interrupt_at = 0.0
        self._interruptions = Interruptions(self._letters)
        self._lost: Attempt | None = None
        self._thread, self._place, self._there_since = 0, (0, 0), 0.0
        self._older_threads: Collection[int] = ()
        self._deadlock: tuple[Attempt, SelfDeadlock] | None = None
        self._turn = real.Bell()
        self._is_over = False
        self._threads = (real.Thread(self._keep), real.Thread(self._write))

    hears_signals = True

    @property
    def is_stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self._interruptions.stopping

    @property
    def from_keyboard(self) -> bool:
        """Whether somebody pressed Ctrl-C."""
        return self._interruptions.from_keyboard

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Receive signals and look after the watched job, inside the block."""
        for thread in self._threads:
            thread.start()
        try:
            with self._interruptions:
                yield
        finally:
            self._stop()  # after the handlers are restored: until then, signals are written to its pipe

    @contextmanager
    def watching(self, attempt: Attempt) -> Iterator[None]:
        """Look after an attempt inside the block, and interrupt it when necessary."""
        self._thread, self._older_threads = real.get_ident(), own_wait.threads_now()
        self._attempt = attempt
        try:
            with self._interruptions.running(attempt):
                yield
        finally:
            self._attempt = None

    def _stop(self) -> None:
        """Stop the threads and close the connection."""
        os.write(self._letters, CLOSE)
        self._is_over = True
        self._turn.ring()
        ended = [thread.join(STOP_SECONDS) for thread in self._threads]
        if ended[0]:
            os.close(self._mailbox)
            os.close(self._letters)
        if self._database is not None:
            self._database.close()

    def _keep(self) -> None:
        watched: Attempt | None = None
        while self._read_mail(POLL_SECONDS):
            attempt = self._attempt
            if attempt is None:
                continue
            if attempt is not watched:
                watched, self._interrupt_at = attempt, 0.0
            self._keep_limits(attempt, time.monotonic())
            self._turn.ring()

    def _write(self) -> None:
        """Do the work in the database; the other thread, which enforces the limits, never waits for it."""
        written: Attempt | None = None
        while True:
            self._turn.wait()
            if self._is_over:
                break
            attempt = self._attempt
            if attempt is None:
                continue
            if attempt is not written:
                self._forget(written)
                written, self._written_progress = attempt, None
            try:
                self._look_after(attempt, time.monotonic())
            except Exception as error:
                expected = isinstance(error, DBAPIError | DatabaseUnavailable)
                level = logging.DEBUG if expected else logging.WARNING
                self._logger.log(level, "Job %s could not be looked after now: %s", attempt.claim.id, error)
        self._forget(written)

    def _forget(self, attempt: Attempt | None) -> None:
        """Delete the renewal of an attempt whose end is written, when the next attempt begins or the run ends."""
        if attempt is not None and self._database is not None:
            forget_renewal(self._database, attempt)

    def _read_mail(self, seconds: float) -> bool:
        """Wait up to `seconds` for signals, and record those that ask to stop; False: the keeper must end."""
        if not real.select([self._mailbox], [], [], seconds)[0]:
            return True
        letters = real.read(self._mailbox, 1000)
        for letter in letters:
            is_first = self._stop_at is None
            if letter in STOP_SIGNALS and (is_first or letter != signal.SIGHUP):
                # A second signal does not wait for the grace.
                grace = self._grace_seconds if is_first else 0.0
                self._stop_at = time.monotonic() + grace
        return CLOSE not in letters

    def _keep_limits(self, attempt: Attempt, now: float) -> None:
        if self._stop_at is not None and now >= self._stop_at:
            self._interrupt(attempt, Interrupted("the run was stopped"))
        if self._has_lost_section():
            self._interrupt(attempt, Interrupted("the run has lost the lock of its section"))
        if attempt.clock.is_overdue(now):
            limit = counted(attempt.clock.time_limit or 0, "second")
            self._interrupt(attempt, TimeLimitExceeded(f"the job ran longer than {limit}"))
        if self._lost is attempt:
            self._interrupt(attempt, lost(attempt.claim))
        if self._deadlock is not None and self._deadlock[0] is attempt:
            self._interrupt(attempt, self._deadlock[1])

    def _look_after(self, attempt: Attempt, now: float) -> None:
        clock, progress_is_new = attempt.clock, attempt.progress != self._written_progress
        if not clock.is_overdue(now) and (now >= clock.renew_at or progress_is_new):
            self._renew(attempt)
        if now >= clock.started + POLL_SECONDS and self._attempt is attempt:
            self._look_for_own_wait(attempt)
        if self._stop_at is not None and now < self._stop_at and self._told_stopping is not attempt:
            self._tell_stopping(attempt)
        if self._backlog and (now >= clock.started + GIVE_BACK_SECONDS or self._stop_at):
            give_back(self._connected(), self._backlog, 1, lambda: self._attempt is attempt)

    def _look_for_own_wait(self, attempt: Attempt) -> None:
        """Stop a job that waits for a lock of its own transaction, because its lease would be renewed for ever."""
        holder, before, self._place = backend_of(attempt.driver), self._place, place_of(self._thread)
        if self._place != before:
            self._there_since = time.monotonic()
        # A job may end such a wait itself, by a `lock_timeout` of its other connection. And to look at the
        # variables of a thread that goes on would keep them alive.
        if holder is None or time.monotonic() - self._there_since < OWN_WAIT_SECONDS:
            return
        found = own_wait.find(self._thread, self._older_threads, holder, self._reading)
        if found is not None:
            waiting, error = found
            if waits_in_python(waiting):
                # A signal would break into the driver's wait, and its connection, still in the statement, would be
                # useless. The end of the statement ends the job; if the job swallows that, a signal comes later.
                attempt.clock.interrupt(error)
                self._interrupt_at = time.monotonic() + INTERRUPT_AGAIN_SECONDS
            else:
                self._interrupt(attempt, error)  # first: whoever sees the end of the statement finds the cause
            self._deadlock = attempt, error  # only now: the other thread raises it as soon as it may
            cancel(waiting)

    def _tell_stopping(self, attempt: Attempt) -> None:
        """Record in a job's history that its process was asked to stop, if its class asks for this."""
        if attempt.job.tells_stopping:
            with self._connected().begin() as connection:
                record(connection, attempt.claim, EventKind.STOPPING, None)
        self._told_stopping = attempt

    def _renew(self, attempt: Attempt) -> None:
        progress = attempt.progress
        is_ours = renew(self._connected(), attempt)
        self._written_progress = progress
        if not is_ours:
            self._lost = attempt

    def _interrupt(self, attempt: Attempt, error: BaseException) -> None:
        """Raise `error` in the job; raise it again only after a while, in case the job swallowed it."""
        now = time.monotonic()
        if now < self._interrupt_at:
            return
        attempt.clock.interrupt(error)  # before the signal: whoever sees its effects finds the cause
        if not self._interruptions.post(attempt, error):
            attempt.clock.withdraw(error)
        else:
            self._interrupt_at = now + INTERRUPT_AGAIN_SECONDS
            try:
                cancel(attempt.driver)  # a signal reaches Python code only when the driver returns
            except Exception as failure:
                self._logger.debug("The statement of job %s could not be stopped: %s", attempt.claim.id, failure)

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._connected().begin(writing=False)

    def _connected(self) -> TransactionSource:
        if self._database is None:
            self._database = self._open_database()
        return self._database
