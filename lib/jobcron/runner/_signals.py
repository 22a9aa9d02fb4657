"""Stopping a job that runs: signals from outside, and the keeper's word from inside.

An exception is raised in the main thread only while ``run`` is under way, never while an outcome is written.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jobcron.errors import Interrupted
from jobcron.runner.attempt import Attempt

# The keeper's own signal: SIGURG is ignored by default, so one that comes late harms nobody; and sharing
# SIGTERM would lose a real one that comes at the same moment.
KEEPER_SIGNAL = signal.SIGURG


class Interruptions:
    """What may stop the job that runs.

    Args:
        wakeup: a non-blocking file descriptor, to which the number of each signal is written at once: Python's own
            handlers have to wait until the main thread comes out of the database driver.

    Attributes:
        stopping: somebody asked the run to stop; nothing more is claimed.
        from_keyboard: somebody pressed Ctrl-C.
    """

    def __init__(self, wakeup: int) -> None:
        self.stopping = False
        self.from_keyboard = False
        self._wakeup = wakeup
        self._running: Attempt | None = None
        self._posted: tuple[Attempt, BaseException] | None = None
        self._thread = threading.get_ident()
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> Interruptions:
        """Take over SIGTERM and SIGINT, where this is the main thread; elsewhere nothing can be interrupted."""
        if threading.current_thread() is threading.main_thread():
            self._before, self._wakeup_before = self._listen()
            _listening.add(self)
        return self

    def __exit__(self, *exc: object) -> None:
        """Give the signals back."""
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        _listening.discard(self)

    def _listen(self) -> tuple[dict[int, Any], int]:
        """Hear the signals, and return what heard them before."""
        before: dict[int, Any] = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, self._on_signal)
        before[KEEPER_SIGNAL] = signal.signal(KEEPER_SIGNAL, self._on_posted)
        return before, signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)

    @contextmanager
    def running(self, attempt: Attempt) -> Iterator[None]:
        """Let `attempt` be interrupted inside the block."""
        if self._before:
            self._listen()  # again: a job before it may have had its own handlers, or asyncio's, which leave none
        try:
            self._running = attempt
            yield
        finally:
            self._running = None

    def post(self, attempt: Attempt, error: BaseException) -> bool:
        """Raise `error` in the thread that runs `attempt`, if it still does; called by the keeper.

        Returns:
            Whether it could be sent.
        """
        if not self._before or self._running is not attempt:
            return False
        self._posted = (attempt, error)
        signal.pthread_kill(self._thread, KEEPER_SIGNAL)
        return True

    def _on_posted(self, number: int, frame: FrameType | None) -> None:
        posted, self._posted = self._posted, None
        if posted is not None and self._running is posted[0]:
            # The keeper has seen the signal, also where the job has put a handler of its own in the place of ours.
            self.stopping |= isinstance(posted[1], Interrupted)
            raise posted[1]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first = not self.stopping
        self.stopping = True
        self.from_keyboard |= number == signal.SIGINT
        if self._running is None:
            return
        error: BaseException | None = None
        if number == signal.SIGINT:
            error = KeyboardInterrupt()
        elif not first:
            error = Interrupted("a second SIGTERM")
        if error is not None:
            self._running.clock.interrupt(error)
            raise error


_listening: set[Interruptions] = set()


def _part() -> None:
    """Hear no signals in a copy of this process: it shares the descriptor, and one to it would stop the run here.

    `multiprocessing`, for instance, ends its processes by signals.
    """
    for interruptions in list(_listening):
        interruptions.__exit__()


os.register_at_fork(after_in_child=_part)  # once: nothing that is registered so can be let go of again
