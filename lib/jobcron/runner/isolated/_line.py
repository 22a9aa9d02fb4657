"""The child's end of the line to its parent."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from contextlib import suppress
from typing import Any

from jobcron.runner.isolated._messages import Message
from jobcron.runner.signals import KEEPER_SIGNAL, STOP_SIGNALS
from jobcron.runner.surroundings import real

INTERRUPTING = {*STOP_SIGNALS, KEEPER_SIGNAL}

STOP_SECONDS = 1.0
"""Seconds by which the parent's message about a signal may arrive later than the signal."""


class Line:
    """The socket to the parent; a forked copy of this process has none."""

    def __init__(self, descriptor: int) -> None:
        self._is_cut = False
        self._lock = threading.RLock()  # a long message is sent in several parts
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._reader = self._socket.makefile("rb", buffering=0)  # unread messages stay in the socket
        self._status = os.fstat(descriptor)

    def say(self, kind: str, **message: Any) -> None:
        """Send a message to the parent; do nothing if the parent has gone."""
        line = json.dumps({"kind": kind, **message}).encode() + b"\n"
        if self._is_cut:  # a thread that is not in this copy may hold the lock
            return
        # An interruption of the job must not interrupt this: the parent would reject half a line.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTING)
        try:
            with self._lock, suppress(OSError):
                self._socket.sendall(line)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def is_whole(self) -> bool:
        """Whether the socket is still open."""
        try:
            return os.path.samestat(os.fstat(self._socket.fileno()), self._status)
        except OSError:
            return False

    def cut(self) -> bool:
        """Close the socket in a forked copy of this process: messages of several processes would be mixed.

        Returns:
            Whether it was not cut before.
        """
        was_whole = not self._is_cut
        self._is_cut = True
        with suppress(OSError):
            os.close(self._socket.detach())
        return was_whole

    def hear(self) -> Message | None:
        """Return the parent's next message, or None if there are no more."""
        line = self._reader.readline()
        return json.loads(line) if line else None

    def is_told_to_stop(self) -> bool:
        """Return whether the parent asked the running job to stop, its only message while a job runs.

        The message may be a little late, if the sender of a signal to the parent also sent it to this process.
        """
        return bool(real.select([self._socket], [], [], STOP_SECONDS)[0])
