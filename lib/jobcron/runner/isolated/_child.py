"""A child process that runs jobs, as its parent sees it: what it is told, what it says, how it ends.

The two talk over a socket, a line of JSON for each message. What the child, or a job in it, prints comes by a pipe
of its own, and is shown in part. What it has started is known by a mark (`jobcron.runner.isolated._descendants`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from tempfile import TemporaryFile

from jobcron.reports.logs import visible
from jobcron.runner.isolated._descendants import MARK, started_by
from jobcron.runner.isolated._messages import MAX_BYTES, BadMessage, Message, parsed

TAIL_BYTES = 4000
"""How much of the last that a job printed is shown in its report."""

MAX_TRACEBACK = 8000

CHUNK = 1 << 16

KILLS = 100
"""How often, every 10 ms, what is left of a child's processes is killed: they may be starting others."""


Watched = int | socket.socket
"""What `select` waits for."""


class Child:
    """A child process.

    Args:
        order: what it is to work for; see `jobcron.runner.isolated._program`.

    Raises:
        OSError: the machine has no room for a process, or for what it needs.

    Attributes:
        control: the socket.
        output: the descriptor of what it prints.
        printed: how many bytes it has printed since `hand`.
        tail: the last of them.
    """

    def __init__(self, order: Message) -> None:
        self.printed = 0
        self.tail = b""
        self._received = b""
        self._is_deaf = False
        self._is_mute = False
        self._mark = uuid.uuid4().hex
        with ExitStack() as ours, ExitStack() as its:
            self.control, theirs = map(ours.enter_context, socket.socketpair())
            its.callback(theirs.close)
            self.output, printing = os.pipe()
            ours.callback(os.close, self.output)
            its.callback(os.close, printing)
            os.set_blocking(self.output, False)
            self._last_words = ours.enter_context(TemporaryFile())
            self._process = self._started(theirs, printing)
            self._ours = ours.pop_all()  # closed by `end`
        self.send(order)

    def _started(self, theirs: socket.socket, printing: int) -> subprocess.Popen[bytes]:
        marks = f"{os.environ.get(MARK, '')} {self._mark}"  # it may itself be started by an isolated job
        # -P: no module is looked for in the working directory.
        descriptors = [theirs.fileno(), self._last_words.fileno()]
        command = [sys.executable, "-P", "-m", "jobcron.runner.isolated", *map(str, (os.getpid(), *descriptors))]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printing,
            stderr=printing,
            pass_fds=descriptors,
            env={**os.environ, MARK: marks},
            start_new_session=True,
        )

    @property
    def number(self) -> int:
        """The number of the process, and of its group."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Tell the child something; one that has died is found dead elsewhere."""
        with suppress(OSError):
            self.control.sendall(json.dumps(message).encode() + b"\n")

    def hand(self, job: int, token: int, taken: float) -> None:
        """Let the child run a claimed job."""
        self.printed, self.tail = 0, b""
        self.send({"run": [job, token, taken]})

    def messages(self) -> Iterator[Message]:
        """Yield what the child has said since the last call, without waiting.

        Raises:
            BadMessage: it said what is none, or does not come to an end.
        """
        with suppress(BlockingIOError, ConnectionError):
            while len(self._received) <= MAX_BYTES and not self._is_deaf:
                chunk = self.control.recv(CHUNK, socket.MSG_DONTWAIT)
                self._is_deaf = not chunk
                self._received += chunk
        *lines, self._received = self._received.split(b"\n")
        yield from map(parsed, lines)
        if len(self._received) > MAX_BYTES:
            raise BadMessage(f"expected a message of at most {MAX_BYTES} bytes, got more")

    @property
    def watched(self) -> list[Watched]:
        """What becomes readable when the child says or prints something; closed by it, it tells nothing more."""
        return [*([] if self._is_deaf else [self.control]), *([] if self._is_mute else [self.output])]

    def hang_up(self) -> None:
        """Tell the child that there will be nothing more."""
        with suppress(OSError):
            self.control.shutdown(socket.SHUT_WR)

    def read_output(self) -> bytes:
        """Return what was printed since the last call, a chunk at most, without waiting."""
        try:
            chunk = os.read(self.output, CHUNK)
        except BlockingIOError:
            return b""
        self._is_mute |= not chunk
        self.printed += len(chunk)
        self.tail = (self.tail + chunk)[-TAIL_BYTES:]
        return chunk

    def status(self) -> int | None:
        """Return how the process ended, as of subprocess; None: it has not."""
        # It stays a zombie until `end`: as long as it has its number, nobody else gets it.
        ended = os.waitid(os.P_PID, self.number, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def last_words(self) -> str:
        """Return the end of what was printed, and where the interpreter was when a signal killed it."""
        self._last_words.seek(0)
        parts = (self.tail, self._last_words.read(MAX_TRACEBACK))
        return "\n".join(visible(part.decode("utf-8", "replace")).strip() for part in parts).strip()

    def started(self) -> list[int]:
        """Return the numbers of the processes that it has started, or those have, and that have not ended."""
        return started_by(self.number, self._mark)

    def kill(self, left: list[int]) -> None:
        """Kill processes that it has started, and those that come to light meanwhile."""
        for _ in range(KILLS):
            for number in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(number, signal.SIGKILL)
            left = self.started()
            if not left:
                break
            time.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, not to those that it has started; one that has ended hears none."""
        if self._process.returncode is None:  # else its number may be another's
            with suppress(ProcessLookupError):  # `end` may just be waiting for it
                os.kill(self.number, number)

    def end(self) -> None:
        """Kill the process, if it has not ended, and with it all that it has started."""
        left = self.started()  # first: where it has ended, what it has started has another parent
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.number, signal.SIGKILL)
        self.kill(left)
        self._process.wait()
        self._ours.close()
