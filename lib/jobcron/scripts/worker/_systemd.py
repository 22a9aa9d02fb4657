"""What systemd is told: that the worker is ready, alive, stopping (``Type=notify``, ``WatchdogSec``).

The worker of one of several instances tells the same to the process that has started it, over a tether.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

TETHER_SECONDS = 5.0
"""How often a worker on a tether gives a sign of life, at least."""

FAILING = "STATUS=all sections fail"
WELL = "STATUS=at work"


class Notifier:
    """Sends states to the socket that systemd names in the environment; without one, nothing.

    Args:
        tether: the socket to send them to instead, which has ended when nobody wants the worker any more.

    Attributes:
        interval: how often a sign of life is wanted at least, in seconds; None: none is wanted.
        tether: see above.
    """

    def __init__(self, tether: socket.socket | None = None) -> None:
        self.tether = tether
        self._is_failing = False
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        watched = os.environ.get("WATCHDOG_USEC", "") if self._address else ""
        is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.interval = int(watched) / 2e6 if watched.isdigit() and is_ours else None
        if tether is not None:
            tether.setblocking(False)
            tether.set_inheritable(False)
            self.interval = TETHER_SECONDS
        self._told_at = 0.0

    def ready(self) -> None:
        """Say that the worker is at work."""
        self._say("READY=1")

    def stopping(self) -> None:
        """Say that it is about to end."""
        self._say("STOPPING=1")

    def alive(self) -> None:
        """Say that it is alive, as often as is wanted."""
        now = time.monotonic()
        if self.interval is not None and now >= self._told_at + self.interval / 2:
            self._told_at = now
            self._say("WATCHDOG=1")

    def failing(self, *, is_failing: bool) -> None:
        """Say whether all sections fail, if that has changed."""
        if is_failing != self._is_failing:
            self._is_failing = is_failing
            self._say(FAILING if is_failing else WELL)

    def _say(self, state: str) -> None:
        if self.tether is not None:
            with suppress(OSError):  # it has ended, which is noticed elsewhere
                self.tether.send(state.encode())
            return
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.setblocking(False)  # nobody may read there for long
            line.sendto(state.encode(), address)
