"""The keeper: two threads, with a separate connection, that look after the running job.

One interrupts a job that lost its lease, exceeded its time limit, or outlived the grace after SIGTERM; it never
waits for the database. The other renews the lease, writes the progress, and releases claimed jobs that wait
behind a slow one. The connection is opened only when there is something to write, so short jobs never pay for
it.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.errors import DatabaseUnavailable, Interrupted, TimeLimitExceeded
from jobcron.jobs.history import EventKind, record
from jobcron.jobs.lease import lost
from jobcron.runner._backlog import Backlog, give_back
from jobcron.runner.attempt import Attempt, renew
from jobcron.runner.signals import Interruptions

GIVE_BACK_SECONDS = 5.0
"""A job that runs longer than this many seconds is slow: the jobs claimed behind it are released."""

POLL_SECONDS = 1.0
"""The keeper's precision in seconds."""


INTERRUPT_AGAIN_SECONDS = 5.0
"""Seconds that an interrupted job has for its own clean-up."""

CLOSE = b"\0"

STOP_SECONDS = 5.0
"""Seconds that the end of a run waits for a keeper that hangs in the database."""


class NoKeeper:
    """Stand-in for a keeper in a test's own transaction, which no other connection can see.

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
        logger: logs renewals that failed.
    """

    def __init__(
        self,
        open_database: Callable[[], TransactionSource],
        backlog: Backlog,
        grace_seconds: float,
        logger: logging.Logger,
    ) -> None:
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
        self._turn = threading.Event()
        self._is_over = False
        self._threads = (
            threading.Thread(target=self._keep, name="jobcron keeper", daemon=True),
            threading.Thread(target=self._write, name="jobcron keeper's writer", daemon=True),
        )

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
        self._turn.set()
        for thread in self._threads:
            thread.join(timeout=STOP_SECONDS)
        if not self._threads[0].is_alive():
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
            self._turn.set()

    def _write(self) -> None:
        """Do the work in the database; the other thread, which enforces the limits, never waits for it."""
        written: Attempt | None = None
        while self._turn.wait() and not self._is_over:
            self._turn.clear()
            attempt = self._attempt
            if attempt is None:
                continue
            if attempt is not written:
                written, self._written_progress = attempt, None
            try:
                self._look_after(attempt, time.monotonic())
            except Exception as error:
                expected = isinstance(error, DBAPIError | DatabaseUnavailable)
                level = logging.DEBUG if expected else logging.WARNING
                self._logger.log(level, "Job %s could not be looked after now: %s", attempt.claim.id, error)

    def _read_mail(self, seconds: float) -> bool:
        """Wait up to `seconds` for signals, and record those that ask to stop; False: the keeper must end."""
        if not select.select([self._mailbox], [], [], seconds)[0]:
            return True
        letters = os.read(self._mailbox, 1000)
        for letter in letters:
            if letter in (signal.SIGTERM, signal.SIGINT):
                # A second signal does not wait for the grace.
                grace = 0.0 if self._stop_at is not None else self._grace_seconds
                self._stop_at = time.monotonic() + grace
        return CLOSE not in letters

    def _keep_limits(self, attempt: Attempt, now: float) -> None:
        if self._stop_at is not None and now >= self._stop_at:
            self._interrupt(attempt, Interrupted("the run was stopped"))
        if attempt.clock.is_overdue(now):
            seconds = attempt.clock.time_limit
            self._interrupt(attempt, TimeLimitExceeded(f"the job ran longer than {seconds:g} seconds"))
        if self._lost is attempt:
            self._interrupt(attempt, lost(attempt.claim))

    def _look_after(self, attempt: Attempt, now: float) -> None:
        clock, progress_is_new = attempt.clock, attempt.progress != self._written_progress
        if not clock.is_overdue(now) and (now >= clock.renew_at or progress_is_new):
            self._renew(attempt)
        if self._stop_at is not None and now < self._stop_at and self._told_stopping is not attempt:
            self._tell_stopping(attempt)
        if self._backlog and (now >= clock.started + GIVE_BACK_SECONDS or self._stop_at):
            give_back(self._connected(), self._backlog, 1, lambda: self._attempt is attempt)

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
                attempt.cancel_statement()
            except Exception as failure:
                self._logger.debug("The statement of job %s could not be stopped: %s", attempt.claim.id, failure)

    def _connected(self) -> TransactionSource:
        if self._database is None:
            self._database = self._open_database()
        return self._database
