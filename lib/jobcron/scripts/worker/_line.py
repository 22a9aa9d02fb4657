"""The line between a worker's supervisor and one of its processes: single bytes over a pair of sockets.

A supervisor that died has closed its end: its processes then finish their jobs and leave.
"""

from __future__ import annotations

# Taken before the application is imported, which may replace the module's functions: see `surroundings.real`.
from select import select
from socket import socket, socketpair

LOOK = b"l"
"""To the process: look for jobs again."""

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

    def waits(self, seconds: float) -> bool:
        """Wait for a word, at most so many seconds; return whether it was `LOOK`."""
        select([self._end], [], [], seconds)
        return self._heard() != b"" and not self._has_ended

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
