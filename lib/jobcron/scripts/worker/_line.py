"""The line between a worker's supervisor and one of its processes: single bytes over a pair of sockets.

A supervisor that died has closed its end: its processes then finish their jobs and leave.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

# Taken before the application is imported, which may replace the module's functions: see `surroundings.real`.
from select import select
from socket import socket, socketpair

LOOK = b"l"
"""To the process: look for jobs again, some may be ready; if others have taken them, wait on."""

LOOK_BACK = b"k"
"""To the process: look for jobs in channels and what was left behind as well; if there is nothing, wait on."""

RENEW = b"r"
"""To the process: as `LOOK_BACK`, but if there is nothing, leave, for a new run."""

LEAVE = b"q"
"""To the process: start no other job, and leave."""

BEGUN = b"b"
"""From the process: it has begun a job, the first one since it was told to look."""

STARTED = b"s"
"""From the process: its runner, which has processes of its own, is about to begin."""

IDLE = b"i"
"""From the process: nothing is ready any more, it waits."""

FRUITLESS = b"n"
"""From the process: as `IDLE`, and there was nothing to run since it was last told to look."""


ORDERLY = 64
"""Added to the exit status of a process that came to its end: a job that calls ``os._exit`` leaves without it."""


class Line:
    """The process's end of the line."""

    def __init__(self, end: socket) -> None:
        self._end = end
        self._end.setblocking(False)
        self._has_ended = False

    def say(self, word: bytes) -> None:
        """Send a word to the supervisor, if there still is one."""
        try:
            self._end.send(word)
        except OSError:
            self._has_ended = True

    def must_leave(self) -> bool:
        """Return whether the supervisor has said so, or is gone."""
        self._heard()
        return self._has_ended

    def waits(self, seconds: float) -> bytes:
        """Wait for words, at most so many seconds, and return them; nothing if the process must leave."""
        select([self._end], [], [], seconds)
        words = self._heard()
        return b"" if self._has_ended else words

    def _heard(self) -> bytes:
        """Return the words since the last time."""
        try:
            words = self._end.recv(64)
        except BlockingIOError:
            return b""
        except OSError:
            words = b""
        self._has_ended |= not words or LEAVE in words
        return words


def new_line() -> tuple[socket, socket]:
    """Return the supervisor's end, which does not block, and the process's end."""
    ours, its = socketpair()
    ours.setblocking(False)
    return ours, its


class Process:
    """A process that runs a section, as the supervisor knows it: its end of the line.

    Attributes:
        section: the section's name.
        pid: its number.
        started: when it was started, in seconds by the monotonic clock.
        is_idle: whether it waits for work.
        is_settling: whether it was put to work and has not said yet whether it found any.
        is_guess: whether it was last put to work without knowing that there is any.
        left_at: when it was told to leave, by the monotonic clock; None: it was not.
        is_at_work: whether it runs jobs, as it has said.
    """

    def __init__(self, section: str, pid: int, end: socket, claims_as: str | None) -> None:
        self.section = section
        self.pid = pid
        self.started = time.monotonic()
        self.is_idle = False
        self.is_settling = True
        self.is_guess = False
        self.left_at: float | None = None
        self.is_at_work = False
        self.claims_as = claims_as
        self._end = end

    def fileno(self) -> int:
        """Return the descriptor of the line, for `selectors`."""
        return self._end.fileno()

    def heard(self) -> bytes:
        """Return its last words, and note them; nothing if it said nothing."""
        try:
            words = self._end.recv(64)
        except OSError:
            return b""
        self.is_settling = False
        self.is_idle = words[-1:] in (IDLE, FRUITLESS)
        self.is_at_work = words[-1:] in (BEGUN, STARTED)
        return words

    def look(self, word: bytes, *, is_guess: bool = False) -> None:
        """Tell it to look for jobs again.

        Args:
            word: `LOOK`, `LOOK_BACK` or `RENEW`.
            is_guess: whether it is not known that there is something.
        """
        self.is_idle, self.is_settling, self.is_guess = False, True, is_guess
        self._say(word)

    def leave(self) -> None:
        """Tell it to start no other job, and to leave."""
        self.left_at = time.monotonic()
        self._say(LEAVE)

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def close(self) -> None:
        """Close the line."""
        self._end.close()

    def _say(self, word: bytes) -> None:
        with suppress(OSError):  # it has ended, and is reaped soon
            self._end.send(word)
