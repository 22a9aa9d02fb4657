"""Runs ``jobcron`` in processes that are forked from one which has imported the libraries: each costs little.

The package's own modules are imported after the fork, so that what a command forgets to import is missed as ever.

    nursery.py SOCKET
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

LIBRARIES = (
    "alembic.command", "alembic.config", "argparse", "email.message", "email.policy", "lazr.config", "logging",
    "oops", "psycopg2.extensions", "sqlalchemy.dialects.postgresql.psycopg2",
    "sqlalchemy.dialects.sqlite.pysqlite", "sqlalchemy.orm", "zope.component", "zope.interface", "zope.schema",
)  # fmt: skip

READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC_")
"""Variables that a process reads when it starts: where one differs, a fork would not do."""


class Nursery:
    """The process that is forked, as tests see it."""

    def __init__(self) -> None:
        self._environment = dict(os.environ)
        self._line, theirs = socket.socketpair()
        with theirs:
            # -P: the folder of this file is not where its children find their modules.
            command = [sys.executable, "-P", __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def close(self) -> None:
        """End it."""
        self._line.close()
        self._process.wait()

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Tell whether a fork does in this environment what a new process would do."""
        return all(
            environment.get(name) == self._environment.get(name)
            for name in environment.keys() | self._environment.keys()
            if name.startswith(READ_AT_START) and name != "PYTHONDONTWRITEBYTECODE"
        )

    def start(
        self, script: Path, arguments: Sequence[str], environment: Mapping[str, str], cwd: Any, out: int, err: int
    ) -> Forked:
        """Start a script.

        Args:
            out: the descriptor that is its standard output.
            err: that of its standard error.
        """
        answers, theirs = os.pipe()
        order = {
            "argv": [str(script), *arguments],
            "environment": dict(environment),
            "cwd": str(cwd or os.getcwd()),
        }
        text = json.dumps(order).encode()
        socket.send_fds(self._line, [len(text).to_bytes(4, "big")], [out, err, theirs])
        self._line.sendall(text)
        os.close(theirs)
        return Forked([str(script), *arguments], answers)

    def run(
        self, script: Path, arguments: Sequence[str], environment: Mapping[str, str], cwd: Any, timeout: float
    ) -> tuple[int, str, str]:
        """Run a script; return its status, as of subprocess, and what it printed.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        out, err = (os.memfd_create(name) for name in ("out", "err"))
        try:
            with self.start(script, arguments, environment, cwd, out, err) as process:
                status = process.wait(timeout)
            return status, *(os.pread(file, 1 << 24, 0).decode() for file in (out, err))  # type: ignore[return-value]
        finally:
            os.close(out)
            os.close(err)


class Forked:
    """A process that was forked: what tests need of ``subprocess.Popen``."""

    def __init__(self, command: Sequence[str], answers: int) -> None:
        self.args = command
        self.stderr: IO[str] | None = None
        self.returncode: int | None = None
        self._answers = os.fdopen(answers)
        self.pid = int(self._answers.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self.wait()
        self._answers.close()
        if self.stderr is not None:
            self.stderr.close()

    def poll(self) -> int | None:
        """Return its status if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return its status.

        Raises:
            subprocess.TimeoutExpired: it has not ended so many seconds later.
        """
        if self.returncode is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._answers.readline())
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end and for that of what it writes; return nothing, and its standard error.

        Raises:
            subprocess.TimeoutExpired: it has not ended so many seconds later.
        """
        assert self.stderr is not None
        deadline = None if timeout is None else time.monotonic() + timeout
        written = bytearray()
        while deadline is None or time.monotonic() < deadline:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if select.select([self.stderr], [], [], left)[0]:
                found = os.read(self.stderr.fileno(), 1 << 16)
                if not found:
                    self.wait(left)
                    return "", written.decode()
                written += found
        raise subprocess.TimeoutExpired(self.args, timeout or 0)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)


def serve(line: socket.socket) -> None:
    """Fork a process for each order, until there are no more; a process between them waits for its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those
    while True:
        head, descriptors, _, _ = socket.recv_fds(line, 4, 3)
        if not head:
            return
        order = json.loads(_read(line, int.from_bytes(head, "big")))
        if os.fork() == 0:
            line.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            born = os.fork()
            if born == 0:
                become(order, *descriptors)
                return
            out, err, answers = descriptors
            os.close(out)
            os.close(err)
            os.write(answers, f"{born}\n".encode())
            _, status = os.waitpid(born, 0)
            os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def become(order: dict[str, Any], out: int, err: int, answers: int) -> None:
    """Be a process that runs the script of an order."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in (out, err, answers):
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    sys.argv = order["argv"]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    left: Any = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as leaving:
        left = leaving.code or 0
    if not isinstance(left, int):
        raise SystemExit(left)
    # The end of a process, but for taking all modules apart, which copies most of what was shared with the parent.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(left & 0xFF)


def _read(line: socket.socket, size: int) -> bytes:
    text = b""
    while len(text) < size:
        found = line.recv(size - len(text))
        if not found:
            sys.exit(1)  # whoever began to say something has died
        text += found
    return text


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    # What is there stays there: no child looks through it for garbage, least of all at its end.
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
