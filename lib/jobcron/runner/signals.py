"""Signals: handlers that are installed for a while and restored, and the interruption of a running job.

Python calls handlers in the main thread, and only between two of its own instructions: not while that thread waits
in a database driver. A wakeup descriptor receives each signal at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from jobcron.errors import Interrupted

if TYPE_CHECKING:
    from jobcron.runner.attempt import Attempt

Handlers = Mapping[signal.Signals, Callable[[int, FrameType | None], object]]
"""The function to call for each signal, as for `signal.signal`."""

# The keeper's own signal: SIGURG is ignored by default, so a late one is harmless; and sharing
# SIGTERM would lose a real one that arrives at the same moment.
# why: decisions 2026-11-22, the keeper interrupts by SIGURG
KEEPER_SIGNAL = signal.SIGURG


class SignalHandlers:
    """Installs signal handlers, and restores the earlier ones.

    Args:
        handlers: the handlers; if empty, nothing is installed.
        wakeup: a non-blocking file descriptor that receives the number of each signal, or None.
    """

    def __init__(self, handlers: Handlers, wakeup: int | None = None) -> None:
        self._handlers = handlers
        self._wakeup = wakeup
        self._before: dict[signal.Signals, Any] = {}
        self._wakeup_before = -1

    @property
    def are_installed(self) -> bool:
        """Whether the handlers are installed now."""
        return bool(self._before)

    def __enter__(self) -> SignalHandlers:
        """Install the handlers.

        Raises:
            ValueError: this is not the main thread.
        """
        self._before, self._wakeup_before = self._install()
        _installed.add(self)
        return self

    def __exit__(self, *exc: object) -> None:
        """Restore the earlier handlers."""
        if self._before and self._wakeup is not None:
            signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        _installed.discard(self)

    def install_again(self) -> None:
        """Reinstall the handlers, if they are installed: code in between may have replaced them."""
        if self._before:
            self._install()

    def _install(self) -> tuple[dict[signal.Signals, Any], int]:
        """Install the handlers; return the earlier ones, and the earlier wakeup descriptor."""
        before = {number: signal.signal(number, handler) for number, handler in self._handlers.items()}
        if not before or self._wakeup is None:
            return before, -1
        return before, signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)


@contextmanager
def readable_signals(handlers: Handlers) -> Iterator[int]:
    """Install handlers inside the block, and yield a descriptor that each of the signals makes readable.

    Raises:
        ValueError: this is not the main thread.
    """
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with SignalHandlers(handlers, writing):
            yield reading
    finally:
        os.close(reading)
        os.close(writing)


def if_main_thread(handlers: Handlers) -> Handlers:
    """Return the handlers in the main thread, and none elsewhere: no other thread can install any."""
    return handlers if threading.current_thread() is threading.main_thread() else {}


class Interruptions:
    """Interrupts the running job, for a signal from outside or on behalf of the keeper.

    It raises an exception in the main thread while `run` is under way, and never while an outcome is written.

    Args:
        wakeup: as for `SignalHandlers`.

    Attributes:
        stopping: whether the run was asked to stop; if so, nothing more is claimed.
        from_keyboard: whether somebody pressed Ctrl-C.
    """

    def __init__(self, wakeup: int) -> None:
        self.stopping = False
        self.from_keyboard = False
        self._running: Attempt | None = None
        self._posted: tuple[Attempt, BaseException] | None = None
        self._thread = threading.get_ident()
        handlers = {
            signal.SIGTERM: self._on_signal,
            signal.SIGINT: self._on_signal,
            KEEPER_SIGNAL: self._on_posted,
        }
        self._handlers = SignalHandlers(if_main_thread(handlers), wakeup)

    def __enter__(self) -> Interruptions:
        """Take over SIGTERM and SIGINT in the main thread; elsewhere nothing can be interrupted."""
        self._handlers.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        """Restore the signals."""
        self._handlers.__exit__()

    @contextmanager
    def running(self, attempt: Attempt) -> Iterator[None]:
        """Allow interruptions of `attempt` inside the block."""
        self._handlers.install_again()  # an earlier job may have replaced them, or asyncio, which leaves none
        try:
            self._running = attempt
            yield
        finally:
            self._running = None

    def post(self, attempt: Attempt, error: BaseException) -> bool:
        """Raise `error` in the thread that runs `attempt`, if it still does; called by the keeper.

        Returns:
            Whether the signal could be sent.
        """
        if not self._handlers.are_installed or self._running is not attempt:
            return False
        self._posted = (attempt, error)
        signal.pthread_kill(self._thread, KEEPER_SIGNAL)
        return True

    def _on_posted(self, number: int, frame: FrameType | None) -> None:
        posted, self._posted = self._posted, None
        if posted is not None and self._running is posted[0]:
            # The keeper has seen the signal, even if the job replaced our handler.
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


_installed: set[SignalHandlers] = set()


def _put_back_in_fork() -> None:
    """Restore all handlers in a forked copy of this process: it shares the wakeup descriptor.

    For instance, `multiprocessing` ends its processes by signals, and one to the copy would stop the run here.
    """
    for handlers in list(_installed):
        handlers.__exit__()


os.register_at_fork(after_in_child=_put_back_in_fork)  # once: a registered function cannot be removed
