"""Parallel child processes: a limited number at once, standard error passed on, signals passed on (LP-17).

One thread waits for all of them. A signal, such as the end of a child, wakes it through a pipe.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from jobcron.errors import UserMistake
from jobcron.reports.logs import complain
from jobcron.runner.signals import StopSignals, readable_signals

HANDED_ON = {signal.SIGTERM: signal.SIGTERM, signal.SIGINT: signal.SIGINT, signal.SIGHUP: signal.SIGTERM}
"""The signal to pass on for each signal: SIGHUP would kill a run, and its job with it."""

MAX_LINE = 1 << 16
"""A longer line is passed on in parts, in bytes."""

MAX_READS = 100
"""More parts than any pipe holds."""


class Start(NamedTuple):
    """A child to start.

    Attributes:
        name: its name.
        command: the program and its arguments.
        after: the earliest start, in seconds from now.
    """

    name: str
    command: Sequence[str]
    after: float = 0.0


class MemberProcess:
    """A running child: the run of one section.

    It has a separate process group, so that a signal from the keyboard reaches it only once, through us.
    """

    def __init__(self, start: Start) -> None:
        self.name = start.name
        self.process = subprocess.Popen(
            start.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0
        )
        assert self.process.stderr is not None
        self.descriptor = self.process.stderr.fileno()
        os.set_blocking(self.descriptor, False)
        self._rest = b""

    def pass_on(self) -> bool:
        """Write the child's finished lines to our standard error; return whether there may be more."""
        try:
            read = os.read(self.descriptor, MAX_LINE)
        except BlockingIOError:
            return False
        text = self._rest + read
        end = len(text) if len(text) >= MAX_LINE else text.rfind(b"\n") + 1
        self._rest = text[end:]
        _write(text[:end])
        return bool(read)

    def close(self) -> int:
        """Write the rest, and return the status; a process that the child left may keep the pipe open."""
        for _ in range(MAX_READS):
            if not self.pass_on():
                break
        _write(self._rest)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return self.process.wait()


def check_thread() -> None:
    """Check that children can be watched from this thread.

    Raises:
        UserMistake: it is not the main thread, which alone receives the signals that children have ended.
    """
    if threading.current_thread() is not threading.main_thread():
        raise UserMistake(
            "expected sections to be started from the main thread of a process, which alone hears that they have "
            f"ended, got the thread {threading.current_thread().name!r}"
        )


class Children:
    """Runs children, up to `jobs` at once.

    Args:
        jobs: the limit.

    Attributes:
        statuses: the statuses of ended children, by name; negative: the signal that ended the child.
        unstartable: the reasons why children could not be started, by name.
    """

    def __init__(self, jobs: int) -> None:
        self.statuses: dict[str, int] = {}
        self.unstartable: dict[str, str] = {}
        self._signals = StopSignals()
        self._jobs = jobs
        self._running: dict[int, MemberProcess] = {}
        self._selector = selectors.DefaultSelector()

    @property
    def received(self) -> list[int]:
        """The signals to pass on; no child is started after one."""
        return [HANDED_ON[signal.Signals(number)] for number in self._signals.received]

    def run(self, starts: Sequence[Start]) -> None:
        """Start the children, and wait until all have ended."""
        waiting = deque(sorted(starts, key=lambda start: start.after))
        began = time.monotonic()
        with self._selector, readable_signals(self._signals.handlers()) as wakeup:
            self._selector.register(wakeup, selectors.EVENT_READ)
            while self._running or (waiting and not self.received):
                self._hand_on_signals()
                self._start_due(waiting, began)
                self._wait(wakeup, waiting, began)
                self._reap()

    def _start_due(self, waiting: deque[Start], began: float) -> None:
        while waiting and not self.received and len(self._running) < self._jobs:
            if time.monotonic() < began + waiting[0].after:
                return
            start = waiting.popleft()
            try:
                child = MemberProcess(start)
            except OSError as error:
                self.unstartable[start.name] = error.strerror or str(error)
                continue
            self._running[child.descriptor] = child
            self._selector.register(child.descriptor, selectors.EVENT_READ)

    def _wait(self, wakeup: int, waiting: deque[Start], began: float) -> None:
        """Wait until a child prints something or ends, the next one is due, or a signal arrives."""
        timeout = None
        if waiting and not self.received and len(self._running) < self._jobs:
            timeout = max(0.0, began + waiting[0].after - time.monotonic())
        elif not self._running:
            return
        for key, _ in self._selector.select(self._signals.timeout(timeout)):
            if key.fd == wakeup:
                os.read(wakeup, MAX_LINE)
            elif not self._running[key.fd].pass_on():
                self._selector.unregister(key.fd)  # it closed its standard error; a signal reports its end

    def _reap(self) -> None:
        for descriptor, child in list(self._running.items()):
            if child.process.poll() is not None:
                if descriptor in self._selector.get_map():
                    self._selector.unregister(descriptor)
                del self._running[descriptor]
                self.statuses[child.name] = child.close()

    def _hand_on_signals(self) -> None:
        number = self._signals.next()
        if number is not None:
            for child in self._running.values():
                child.process.send_signal(HANDED_ON[signal.Signals(number)])


def _write(text: bytes) -> None:
    if text:
        complain(text.decode(errors="backslashreplace").removesuffix("\n"))
