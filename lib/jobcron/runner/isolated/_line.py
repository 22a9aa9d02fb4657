"""The child's end of the line to its parent."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import threading
from contextlib import suppress
from typing import Any

from jobcron.runner.isolated._messages import Message

INTERRUPTING = {signal.SIGTERM, signal.SIGINT, signal.SIGURG}

STOP_SECONDS = 1.0
"""How much later than a signal the parent's word may come that it asked for it."""


class Line:
    """The socket to the parent; a copy of this process has none."""

    def __init__(self, descriptor: int) -> None:
        self._is_cut = False
        self._lock = threading.RLock()  # a long message is sent in several parts
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._reader = self._socket.makefile("rb", buffering=0)  # what was not heard yet stays in the socket
        self._status = os.fstat(descriptor)

    def say(self, kind: str, **message: Any) -> None:
        """Tell the parent; where it is gone, nobody."""
        line = json.dumps({"kind": kind, **message}).encode() + b"\n"
        if self._is_cut:  # the lock may be held by a thread that is not in this copy
            return
        # What interrupts a job is not to interrupt this: half a line would be taken for nonsense.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTING)
        try:
            with self._lock, suppress(OSError):
                self._socket.sendall(line)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def is_whole(self) -> bool:
        """Whether nobody has closed the socket."""
        try:
            return os.path.samestat(os.fstat(self._socket.fileno()), self._status)
        except OSError:
            return False

    def cut(self) -> None:
        """Let go of the socket, in a copy of this process: what several processes send becomes mixed."""
        self._is_cut = True
        with suppress(OSError):
            os.close(self._socket.detach())

    def hear(self) -> Message | None:
        """Return the parent's next message, or None where there will be none."""
        line = self._reader.readline()
        return json.loads(line) if line else None

    def is_told_to_stop(self) -> bool:
        """Tell whether the parent wants the job that runs to stop: it says nothing else in the middle of one.

        It may come a little late, where whoever stopped the parent has sent the same signal to this process.
        """
        return bool(select.select([self._socket], [], [], STOP_SECONDS)[0])
