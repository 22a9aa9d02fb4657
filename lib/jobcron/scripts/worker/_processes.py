"""The processes of a worker: forked, told to look or to leave, reaped."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from socket import socket
from typing import NamedTuple

from jobcron.errors import DirectoryError, LockHeld, UserMistake
from jobcron.jobs.lease import Tenure, close_in_forks, tenure_under
from jobcron.reports.logs import NO_OOPS
from jobcron.runner.signals import STOP_SIGNALS
from jobcron.scripts.locks.lock import RunLock
from jobcron.scripts.worker._line import ORDERLY, Line, Process, new_line

Serve = Callable[[str, Tenure | None, Line], int]
"""Runs a section, by its name, in the process that calls it, and returns the exit status."""


class Ended(NamedTuple):
    """A process that has ended.

    Attributes:
        process: the process.
        status: its exit status; negative: the signal that killed it.
        is_lost: whether it was killed, or left in the middle of a job.
    """

    process: Process
    status: int
    is_lost: bool

    def __str__(self) -> str:
        """Say how a lost process ended, and what becomes of its job."""
        how = (
            f"was killed by signal {-self.status}"
            if self.status < 0
            else f"left in the middle, with status {self.status}"
        )
        return f"{self.process.section}: process {self.process.pid} {how}; what it was doing is taken over."


class _Names:
    """Hands a process the name under which it claims: the name has its number, and is noted before it claims."""

    def __init__(self) -> None:
        self._its, self._ours = os.pipe()

    def tell(self, name: str | None) -> None:
        """Tell the process its name; None: it has none."""
        os.close(self._its)
        with (
            suppress(BrokenPipeError),
            open(self._ours, "w", encoding="utf-8") as pipe,
        ):  # it may be killed already
            pipe.write(f"{name or ''}\n")

    def told(self, lock: RunLock, held: int | None) -> Tenure | None:
        """Return, in the process, what it claims as; None: nothing was noted.

        Raises:
            EOFError: the supervisor was killed.
        """
        os.close(self._ours)
        with open(self._its, encoding="utf-8") as pipe:
            line = pipe.readline()
        if not line:
            raise EOFError("the supervisor has ended")
        return tenure_under(line.rstrip("\n") or None, lock.gone, held, lock.lease, lock.trouble)


class Processes:
    """All processes of a worker, and the locks of the sections that they run.

    Args:
        lock_of: returns the lock of a section, by its name.
        serve: what a process does.
        logger: the worker's log.
        held: the one lock, held by the caller, which releases it; None: each is taken and released here.
        family: what the names begin with under which they claim: see `new_name`.

    Attributes:
        all: the processes, by their numbers.
        abandons: returns the descriptors of the supervisor's connections, which a process must not use.
    """

    def __init__(
        self,
        lock_of: Callable[[str], RunLock],
        serve: Serve,
        logger: logging.Logger,
        held: RunLock | None = None,
        family: str = "",
    ) -> None:
        self.all: dict[int, Process] = {}
        self.abandons: Callable[[], list[int]] = list
        self._lock_of = lock_of
        self._serve = serve
        self._logger = logger
        self._held = held
        self._family = family
        self._locks: dict[str, RunLock] = {}
        self._told: dict[str, type[UserMistake]] = {}

    def of(self, section: str) -> list[Process]:
        """Return the processes that run a section."""
        return [process for process in self.all.values() if process.section == section]

    def waiting(self, section: str) -> Process | None:
        """Return a process of a section that waits for work; None: there is none."""
        return next((p for p in self.of(section) if p.is_idle and p.left_at is None), None)

    def has_room(self, section: str, most: int) -> bool:
        """Return whether something can be done for a section if it has work.

        Args:
            section: its name.
            most: how many processes may run it at once.
        """
        own = self.of(section)
        if any(process.is_settling for process in own):
            return False  # what it finds may be all there is; it says so soon
        return len(own) < most or self.waiting(section) is not None

    def to_leave(self, section: str, seconds: float) -> Process | None:
        """Return the process that is to make room for one of a section; None: it is not time for that.

        It is one of another section that waits; or a busy one, if this section has none. One that was told and has
        not left after a while has a long job: then it is the next one.

        Args:
            section: the section's name.
            seconds: how long a process keeps its place, and how long is a while.
        """
        now = time.monotonic()
        others = [process for process in self.all.values() if process.section != section]
        if any(process.left_at is not None and now - process.left_at < seconds for process in others):
            return None
        others = [process for process in others if process.left_at is None]
        due = [process for process in others if process.is_idle]
        if not due and not self.of(section):
            due = [process for process in others if now - process.started >= seconds]
        counts = {process.section: len(self.of(process.section)) for process in due}
        return min(due, key=lambda process: (-counts[process.section], process.started), default=None)

    def start(self, section: str) -> Process | None:
        """Start a process for a section; return None if another program runs the section, or none can be started.

        Raises:
            DirectoryError: the lock cannot be used, as was told.
        """
        lock = self._lock(section)
        if lock is None:
            return None
        held = lock.share()
        ours, its = new_line()
        names = _Names()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal to the new process must not meet the supervisor's handlers there, which would swallow it.
        mask = {*signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)}
        try:
            pid = os.fork()
        except OSError as error:
            self._logger.warning("%s: no process can be started now: %s", section, error, extra=NO_OOPS)
            pid = -1
        if pid == 0:
            self._live(section, lambda: names.told(lock, held), ours, its, mask)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        its.close()
        if pid == -1:
            names.tell(None)
            ours.close()
            if held is not None:
                os.close(held)
            return None
        name = lock.claims(pid, self._family)
        names.tell(name)
        if held is not None:
            os.close(held)
        process = Process(section, pid, ours, name)
        self.all[pid] = process
        return process

    def reap(self) -> list[Ended]:
        """Return the processes that have ended; the caller closes them."""
        ended = []
        for process in list(self.all.values()):
            pid, waited = os.waitpid(process.pid, os.WNOHANG)
            if pid == 0:
                continue
            status = os.waitstatus_to_exitcode(waited)
            is_lost = status < ORDERLY
            del self.all[process.pid]
            self._release(process, is_lost)
            ended.append(Ended(process, status if is_lost else status - ORDERLY, is_lost))
        return ended

    def gone(self, section: str) -> tuple[str, ...] | None:
        """Return the names of a section's runs that are over; None if its lock is not held."""
        lock = self._locks.get(section)
        return None if lock is None else lock.gone

    def _lock(self, section: str) -> RunLock | None:
        """Return the lock of a section, held."""
        if self._held is not None:
            return self._held
        if section not in self._locks:
            lock = self._lock_of(section)
            try:
                lock.acquire()
            except (LockHeld, DirectoryError) as error:
                is_held = isinstance(error, LockHeld)
                if self._told.get(section) is not type(error):
                    self._told[section] = type(error)
                    level, text = (logging.INFO, "%s waits: %s") if is_held else (logging.ERROR, "%s: %s")
                    self._logger.log(level, text, section, error, extra=NO_OOPS)
                if not is_held:
                    raise
                return None
            self._locks[section] = lock
        self._told.pop(section, None)
        return self._locks[section]

    def _release(self, process: Process, is_lost: bool) -> None:
        """Note how a process ended, and release the lock after the last one of its section."""
        lock = self._held or self._locks[process.section]
        if process.claims_as is not None:
            if is_lost:
                lock.died(process.claims_as)
            else:
                lock.ended(process.claims_as)
        if self._held is None and not self.of(process.section):
            del self._locks[process.section]
            lock.release()

    def _live(
        self, section: str, told: Callable[[], Tenure | None], ours: socket, its: socket, mask: set[int]
    ) -> None:
        """Be the process, and end it: nothing of the supervisor's is cleaned up, it is still in use."""
        status = 1
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            tenure = told()
            os.setpgid(0, 0)  # a signal from the keyboard reaches it once, through the supervisor
            ours.close()
            for process in self.all.values():
                process.close()  # or the others would not notice the supervisor's end
            if tenure is not None and tenure.lock is not None:
                close_in_forks(tenure.lock)  # a process that a job forks must not keep it
            self._abandon()
            status = self._serve(section, tenure, Line(its))
        finally:
            logging.shutdown()
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(status)

    def _abandon(self) -> None:
        """Turn the supervisor's connections away from the server: their end here must not end them there."""
        for descriptor in self.abandons():
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, descriptor)
            os.close(null)
