"""Start ``jobcron`` quickly: fork it from a server process that has imported the package already.

An import costs about half a second, a fork some milliseconds; the tests start thousands of processes.
`fork_server_process` is the server, `fork_client` how it is asked for a fork.
"""

from __future__ import annotations

import marshal
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

import fork_client

PYTHON = """#!/bin/sh
if [ "$1 $2 $3" = "-P -m jobcron.scripts._member" ]; then
    shift
    exec {stand_in} "$@"
fi
exec {python} "$@"
"""
"""What a fork takes for its Python and starts processes with: so members of groups are forked as well."""

OWN_SETTINGS = ("JOBCRON_CONFIG", "JOBCRON_DATABASE_URL", "JOBCRON_CELERY_BROKER_URL")
"""The variables by which a run finds its instance, its database and its broker."""

SERVER = Path(__file__).with_name("fork_server_process.py")


class ForkServer:
    """The server process, as tests see it.

    Args:
        environment: which it is started with; None: that of the tests, without what one test sets for its runs.
        prepared: whether it has the application of most tests, too.
        libraries: more modules that it imports.
    """

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        prepared: bool = False,
        libraries: Sequence[str] = (),
    ) -> None:
        self._owner = os.getpid()
        if environment is None:
            environment = {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS}
        self._environment = dict(environment)
        self._folder = Path(tempfile.mkdtemp(prefix="forks-", dir="/tmp"))  # of this user alone
        self.address = str(self._folder / "socket")
        (self._folder / "socket.environment").write_bytes(marshal.dumps(self._environment))
        self._python = self._folder / "python"
        stand_in = self.stand_in(self._python)
        self._python.write_text(PYTHON.format(stand_in=stand_in, python=shlex.quote(sys.executable)))
        self._python.chmod(0o755)
        self._lifeline, theirs = socket.socketpair()
        with theirs, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.address)
            listener.listen(64)
            files = [listener.fileno(), theirs.fileno()]
            # -P: the folder of this file is not where its children find their modules.
            more = [*libraries, *(["prepared"] if prepared else [])]
            command = [sys.executable, "-P", str(SERVER), *map(str, files), *more]
            self._process = subprocess.Popen(
                command, pass_fds=files, stdin=subprocess.DEVNULL, env=self._environment
            )

    def close(self) -> None:
        """End it."""
        self._lifeline.close()
        self._process.wait()
        shutil.rmtree(self._folder)

    def stand_in(self, executable: Path) -> str:
        """Return the words with which a shell calls a stand-in for a Python, which forks here."""
        return shlex.join([sys.executable, "-I", "-S", fork_client.__file__, self.address, str(executable)])

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Return whether a fork behaves in this environment as a new process would."""
        return fork_client.suits(environment, self._environment)

    def start(
        self,
        script: Path,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        cwd: Any,
        out: int,
        err: int,
        *,
        has_session: bool = False,
    ) -> Forked:
        """Start a script.

        Args:
            out: the descriptor that is its standard output.
            err: that of its standard error.
            has_session: whether it leads a session of its own.
        """
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            answers = fork_client.order(
                self.address,
                argv=[str(script), *arguments],
                executable=str(self._python),
                environment=dict(environment),
                cwd=str(cwd or os.getcwd()),
                has_session=has_session,
                files=(nothing, out, err),
            )
        finally:
            os.close(nothing)
        return Forked([str(script), *arguments], answers.detach())

    @property
    def is_ours(self) -> bool:
        """Whether this process has started it, and not one of which it is a fork: that could adopt nothing."""
        return self._owner == os.getpid()

    def adopt(
        self, command: Sequence[str], environment: Mapping[str, str], files: Sequence[int], numbers: Sequence[int]
    ) -> int:
        """Start a process that leads a session, and whose parent is whoever adopts it; return its number.

        Args:
            command: a Python, ``-P``, ``-m``, and so on.
            files: its standard input, output and error, and others.
            numbers: those of the others.
        """
        order: dict[str, Any] = {"argv": list(command[2:]), "executable": command[0], "cwd": os.getcwd()}
        order |= {"environment": dict(environment), "numbers": list(numbers)}
        with os.fdopen(fork_client.order(self.address, files=files, **order).detach()) as answers:
            return int(answers.readline())

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
    """A forked process: the part of ``subprocess.Popen`` that tests use."""

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
            self._answers.close()
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

    def send_signal(self, number: int) -> None:
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
