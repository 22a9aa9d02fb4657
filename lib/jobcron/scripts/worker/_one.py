"""One of several instances that a worker serves: its own worker, in a process on a tether."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Sequence

from jobcron.scripts.instances import Instance
from jobcron.scripts.worker._systemd import FAILING, WELL

MAX_WORD = 1 << 12


class One:
    """The worker of one instance.

    Args:
        instance: the instance.

    Attributes:
        instance: see above.
        process: its process; None: it has none now.
        is_ready: whether it has said that it is at work.
        is_settled: whether it was ready at some time, or has shown that nobody should wait for that.
        is_failing: whether all its sections fail, or it cannot be started.
        is_wanted: whether it is to be started when it has no process.
        mistake: what is wrong with its configuration, as was told; None: nothing.
        look_at: when its configuration is read again if it has no process.
        started: when its process was started, by the monotonic clock.
        heard_at: when it gave its last sign of life.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.process: subprocess.Popen[bytes] | None = None
        self.is_ready = False
        self.is_settled = False
        self.is_failing = False
        self.is_wanted = True
        self.mistake: str | None = None
        self.look_at = 0.0
        self.started = 0.0
        self.heard_at = 0.0
        self._stops = 0
        self._tether: socket.socket | None = None

    def start(self, command: Sequence[str], environment: dict[str, str]) -> None:
        """Start its process.

        Args:
            command: the program and its arguments; the number of the tether is added.
            environment: its environment.

        Raises:
            OSError: no process can be started now.
        """
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            self.process = subprocess.Popen(
                [*command, f"--tether={its.fileno()}"],
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                process_group=0,  # a signal from the keyboard reaches it once, through us
            )
        except OSError:
            ours.close()
            raise
        finally:
            its.close()
        self._tether = ours
        self._stops = 0
        self.started = self.heard_at = time.monotonic()

    def fileno(self) -> int:
        """Return the descriptor of the tether, for `selectors`."""
        assert self._tether is not None
        return self._tether.fileno()

    def hear(self) -> bool:
        """Note what it says; return whether it may say more."""
        assert self._tether is not None
        try:
            word = self._tether.recv(MAX_WORD).decode("utf-8", "replace")
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not word:
            return False
        self.heard_at = time.monotonic()
        if not self.is_ready:
            self.is_ready = self.is_settled = True
            self.is_failing = False
        if word in (FAILING, WELL):
            self.is_failing = word == FAILING
        return True

    def stop(self, times: int = 1) -> None:
        """Stop it so many times in all: first it finishes its jobs, the second time it interrupts them."""
        self.is_wanted = False
        while self.process is not None and self._stops < times:
            self._stops += 1
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill its process."""
        if self.process is not None:
            self.process.kill()

    def ended(self) -> int | None:
        """Return the exit status of its process if that has ended, once; negative: the signal that killed it."""
        status = None if self.process is None else self.process.poll()
        if status is not None:
            assert self._tether is not None
            self._tether.close()
            self.process, self._tether = None, None
            self.is_ready, self.is_settled = False, True
        return status
