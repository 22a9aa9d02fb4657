"""Signals: handlers that are installed for a while and restored, and the interruption of a running job.

Python calls handlers in the main thread, and only between two Python instructions: not while that thread waits in
a database driver. A wakeup descriptor receives each signal at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any

from jobcron.errors import Interrupted
from jobcron.runner.surroundings import real
from jobcron.runner.surroundings.greenlets import Greenlet, current_greenlet, is_gevents, root_of

if TYPE_CHECKING:
    from jobcron.runner.attempt import Attempt

Handlers = Mapping[signal.Signals, Callable[[int, FrameType | None], object]]
"""The function to call for each signal, as for `signal.signal`."""

# `signal.signal` makes enums of what it is given and returns, which takes ten times as long.
_set_handler: Callable[[int, object], object] = import_module("_signal").signal

# The keeper's own signal: SIGURG is ignored by default, so a late one is harmless; and sharing
# SIGTERM would lose a real one that arrives at the same moment.
# why: decisions 2026-11-22, the keeper interrupts by SIGURG
KEEPER_SIGNAL = signal.SIGURG


STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that ask a run to stop. A terminal that is closed may send SIGHUP twice: the second means nothing."""

HAND_ON_SECONDS = 0.25
"""How long after one signal the next one is handed on."""


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
            for number, handler in self._handlers.items():
                _set_handler(number, handler)
            if self._wakeup is not None:
                signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)

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
    try:
        # Asked of `signal`, since gevent's answer of `threading` is about something else.
        signal.signal(KEEPER_SIGNAL, signal.getsignal(KEEPER_SIGNAL) or signal.SIG_DFL)
    except ValueError:
        return {}
    return handlers


def unless_nohup(handlers: Handlers) -> Handlers:
    """Return the handlers, except for SIGHUP if that is ignored, as it is in programs started by ``nohup``."""
    # why: decisions 2026-11-29, SIGHUP stops a run as SIGTERM does
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return {number: h for number, h in handlers.items() if not (is_ignored and number == signal.SIGHUP)}


def restore_signals() -> None:
    """Receive the signals on which a run depends, even if the process that started it blocked or ignored them.

    SIGHUP stays ignored: this is how `nohup` starts programs.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # Ignored, it makes the kernel forget how child processes ended: each would seem to have succeeded.
    with suppress(ValueError):  # a run outside the main thread
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def stop_handlers(handler: Callable[[int, FrameType | None], object]) -> Handlers:
    """Return a handler for each signal that asks a run to stop; none outside the main thread."""
    return if_main_thread(unless_nohup(dict.fromkeys(STOP_SIGNALS, handler)))


class StopSignals:
    """Receives the signals that ask a program to stop, and says when each is to be handed on to its processes.

    Two of a kind that a process gets at once arrive as one. So the second one, which interrupts a job, comes
    later.

    Attributes:
        received: their numbers, in the order in which they came.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self._handed_on = 0
        self._next_at = 0.0

    def handlers(self) -> Handlers:
        """Return handlers for these signals, and one for SIGCHLD, which is there to wake the program."""
        return unless_nohup(dict.fromkeys((*STOP_SIGNALS, signal.SIGCHLD), self._note))

    @property
    def is_any_left(self) -> bool:
        """Whether a signal has not been handed on yet."""
        return len(self.received) > self._handed_on

    def next(self) -> int | None:
        """Return the number of the signal that is to be handed on now, once; None: there is none."""
        if not self.is_any_left or time.monotonic() < self._next_at:
            return None
        self._next_at = time.monotonic() + HAND_ON_SECONDS
        self._handed_on += 1
        return self.received[self._handed_on - 1]

    def timeout(self, seconds: float | None) -> float | None:
        """Return how many seconds to wait: as many as given, or fewer if a signal is to be handed on earlier."""
        if not self.is_any_left:
            return seconds
        left = max(0.0, self._next_at - time.monotonic())
        return left if seconds is None else min(seconds, left)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self.received:
            return  # a closed terminal may cause it twice
        if number != signal.SIGCHLD:
            self.received.append(number)


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
        self._thread = real.get_ident()
        self._greenlet: Greenlet | None = None
        handlers = if_main_thread({KEEPER_SIGNAL: self._on_posted})
        self._handlers = SignalHandlers({**stop_handlers(self._on_signal), **handlers}, wakeup)

    def __enter__(self) -> Interruptions:
        """Take over SIGTERM, SIGINT and SIGHUP in the main thread; elsewhere nothing can be interrupted."""
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
            self._greenlet = current_greenlet()
            self._running = attempt
            yield
        finally:
            self._running = None

    def post(self, attempt: Attempt, error: BaseException) -> bool:
        """Raise `error` in the thread that runs `attempt`, if it is still running; the keeper calls this.

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
            self._raise(posted[1])

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first = not self.stopping
        self.stopping = True
        self.from_keyboard |= number == signal.SIGINT
        if self._running is None:
            return
        error: BaseException | None = None
        if number == signal.SIGINT:
            error = KeyboardInterrupt()
        elif not first and number == signal.SIGTERM:  # a closed terminal may cause SIGHUP twice
            error = Interrupted("a second SIGTERM")
        if error is not None:
            self._running.clock.interrupt(error)
            self._raise(error)

    def _raise(self, error: BaseException) -> None:
        """Raise an error in the job, also if another greenlet runs now."""
        current = current_greenlet()
        mine = self._greenlet or root_of(current)
        if mine is None or mine is current or not is_gevents(current):
            raise error  # eventlet's loop ends with an error, and passes it to the job
        mine.throw(error)  # gevent's would print it; returns when the job waits for its greenlets again


_installed: set[SignalHandlers] = set()


def _put_back_in_fork() -> None:
    """Restore all handlers in a forked copy of this process: it shares the wakeup descriptor.

    For instance, `multiprocessing` ends its processes by signals, and one to the copy would stop the run here.
    """
    for handlers in list(_installed):
        handlers.__exit__()


os.register_at_fork(after_in_child=_put_back_in_fork)  # once: a registered function cannot be removed
