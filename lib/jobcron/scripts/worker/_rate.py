"""The rate of a worker: when the next job may start, whichever of its processes runs it."""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
import time

BUSY_SECONDS = 0.1
"""How long a process waits while another one is about to start a job."""

_TIME = struct.Struct("d")


class Rate:
    """Lets at least so many seconds lie between the starts of two jobs of all forked processes that share it.

    A process that may start a job holds a lock until the job has begun, or until it found none: the kernel
    releases it if the process is killed.

    Args:
        interval: the seconds; 0: no limit.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        # Open as long as the worker lives.
        self._file = tempfile.TemporaryFile(buffering=0) if interval else None  # noqa: SIM115

    def seconds_left(self) -> float:
        """Return how long to wait before the question is worth asking again; 0: a job may start now."""
        if self._file is None:
            return 0.0
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return BUSY_SECONDS
        text = os.pread(self._file.fileno(), _TIME.size, 0)
        left = (_TIME.unpack(text)[0] if text else 0.0) - time.monotonic()
        if left > 0:
            self.release()
        return max(0.0, left)

    def job_begins(self) -> None:
        """Note the start of a job."""
        if self._file is not None:
            os.pwrite(self._file.fileno(), _TIME.pack(time.monotonic() + self.interval), 0)
            self.release()

    def release(self) -> None:
        """Let others ask."""
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
