"""A child process that runs jobs, as its parent sees it: its orders, its messages, its end.

The two talk over a socket, one line of JSON for each message. Whatever the child or its job prints arrives
through a separate pipe, and is shown in part. The processes that it starts carry a mark
(`jobcron.runner.isolated._descendants`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from jobcron.reports.logs import visible
from jobcron.runner.isolated._descendants import MARK, started_by
from jobcron.runner.isolated._messages import MAX_BYTES, BadMessage, Message, parsed
from jobcron.runner.surroundings import real

if not TYPE_CHECKING:
    subprocess = real.copy_of(subprocess)  # gevent and eventlet replace parts of it

TAIL_BYTES = 4000
"""How much of the end of a job's output its report shows, in bytes."""

MAX_TRACEBACK = 8000

CHUNK = 1 << 16

KILLS = 100
"""How often, every 10 ms, a child's remaining processes are killed: they may be starting others."""


Watched = int | socket.socket
"""An object that `select` can wait for."""


class Child:
    """A child process.

    Args:
        order: what the child should work for; see `jobcron.runner.isolated._program`.
        lock: the descriptor of the lock that it shares: nobody else gets it while the child lives.

    Raises:
        OSError: the machine has no room for a process, or for its resources.

    Attributes:
        control: the socket.
        output: the descriptor of the child's output.
        printed: the number of bytes printed since `hand`.
        tail: the last bytes printed.
    """

    def __init__(self, order: Message, lock: int | None = None) -> None:
        self.printed = 0
        self.tail = b""
        self._received = b""
        self._is_deaf = False
        self._is_mute = False
        self._mark = uuid.uuid4().hex
        with ExitStack() as ours, ExitStack() as its:
            self.control, theirs = map(ours.enter_context, real.socket_pair())
            its.callback(theirs.close)
            self.output, printing = os.pipe()
            ours.callback(os.close, self.output)
            its.callback(os.close, printing)
            os.set_blocking(self.output, False)
            self._last_words = ours.enter_context(TemporaryFile())
            self._process = self._started(theirs, printing, lock)
            self._ours = ours.pop_all()  # closed by `end`
        self.send(order)

    def _started(self, theirs: socket.socket, printing: int, lock: int | None) -> subprocess.Popen[bytes]:
        marks = f"{os.environ.get(MARK, '')} {self._mark}"  # an isolated job may have started us
        # -P: Python does not search the working directory for modules.
        descriptors = [theirs.fileno(), self._last_words.fileno(), *([] if lock is None else [lock])]
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
        """The id of the process, and of its group."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Send a message to the child; if it has died, this is noticed elsewhere."""
        with suppress(OSError):
            self.control.sendall(json.dumps(message).encode() + b"\n")

    def hand(self, job: int, token: int, taken: float) -> None:
        """Hand the child a claimed job to run."""
        self.printed, self.tail = 0, b""
        self.send({"run": [job, token, taken]})

    def messages(self) -> Iterator[Message]:
        """Yield the child's messages since the last call, without waiting.

        Raises:
            BadMessage: the child sent something else, or a message without an end.
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
        """The open pipes and sockets that become readable when the child sends or prints something."""
        return [*([] if self._is_deaf else [self.control]), *([] if self._is_mute else [self.output])]

    def hang_up(self) -> None:
        """Tell the child that no more messages will follow."""
        with suppress(OSError):
            self.control.shutdown(socket.SHUT_WR)

    def read_output(self) -> bytes:
        """Return the output since the last call, at most one chunk, without waiting."""
        try:
            chunk = real.read(self.output, CHUNK)
        except BlockingIOError:
            return b""
        self._is_mute |= not chunk
        self.printed += len(chunk)
        self.tail = (self.tail + chunk)[-TAIL_BYTES:]
        return chunk

    def status(self) -> int | None:
        """Return how the process ended, as `subprocess` does; None: it has not ended."""
        # It stays a zombie until `end`: as long as it has its id, no other process gets it.
        ended = os.waitid(os.P_PID, self.number, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def last_words(self) -> str:
        """Return the end of the output, and where the interpreter was when a signal killed it."""
        self._last_words.seek(0)
        parts = (self.tail, self._last_words.read(MAX_TRACEBACK))
        return "\n".join(visible(part.decode("utf-8", "replace")).strip() for part in parts).strip()

    def started(self) -> list[int]:
        """Return the ids of the live processes that the child has started, directly or indirectly."""
        return started_by(self.number, self._mark)

    def kill(self, left: list[int]) -> None:
        """Kill processes that the child has started, and those that appear meanwhile."""
        for _ in range(KILLS):
            for number in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(number, signal.SIGKILL)
            left = self.started()
            if not left:
                break
            real.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process only, not to those that it has started; do nothing if it has ended."""
        if self._process.returncode is None:  # else another process may have its id
            with suppress(ProcessLookupError):  # `end` may just be waiting for it
                os.kill(self.number, number)

    def end(self) -> None:
        """Kill the process, unless it has ended, and all processes that it has started."""
        left = self.started()  # first: after its end, the processes that it started have another parent
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.number, signal.SIGKILL)
        self.kill(left)
        self._process.wait()
        self._ours.close()
