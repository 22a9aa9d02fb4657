"""The server process of `fork_server`: imports the package once, and forks itself for each command of a test.

That each module of the package imports what it needs is seen elsewhere, by importing each of them first:
`test_imports.py`. What a fork is to be comes over a connection of its own (`fork_client.order`), which is told its
number and, later, its status; the end of that connection is the end of the fork.

    fork_server_process.py LISTENER LIFELINE [MODULE …] [prepared]
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.orm import configure_mappers

import jobcron

NOT_IMPORTED = (
    "jobcron.scripts._section_run",
    "jobcron.commands.checks._check_config",
    "jobcron.scripts._member",
    "jobcron.scripts.worker._child",
    "jobcron.scripts.worker.crew",
    "jobcron.scripts.worker._stint",
    "jobcron.scripts.worker.receiver",
    "jobcron.testing",
    "jobcron.celery",  # as what follows: whose lazy modules change what others import
    "jobcron.web",  # Flask's proxies fail when eventlet looks through all objects
)


class Children:
    """The processes that were forked and have not ended, and the connections that ordered them."""

    def __init__(self) -> None:
        self._lines: dict[int, tuple[socket.socket, int]] = {}  # with its number, by the descriptor of a process
        self._processes: dict[socket.socket, int] = {}  # by the line of one who still waits

    def watched(self) -> list[Any]:
        """Return what becomes readable when a process ends, or whoever waits for it."""
        return [*self._lines, *self._processes]

    def add(self, number: int, line: socket.socket) -> None:
        """Watch a process that was just forked, and say its number."""
        end = os.pidfd_open(number)
        self._lines[end] = line, number
        self._processes[line] = number
        _say(line, number)

    def look(self, readable: Any) -> None:
        """Say how a process has ended; kill one for which nobody waits any more."""
        if readable in self._lines:
            line, number = self._lines.pop(readable)
            self._processes.pop(line, None)
            os.close(readable)
            _, status = os.waitpid(number, 0)
            _say(line, os.waitstatus_to_exitcode(status))
            line.close()
        elif readable in self._processes:  # whoever waited was killed
            os.kill(self._processes.pop(readable), signal.SIGKILL)

    def kill(self) -> None:
        """Kill them all: whoever ordered them has ended."""
        for _, number in self._lines.values():
            os.kill(number, signal.SIGKILL)

    def forget(self) -> None:
        """Close all descriptors: a fork has no part in them."""
        for end, (line, _) in self._lines.items():
            os.close(end)
            line.close()


def serve(listener: socket.socket, lifeline: socket.socket) -> None:
    """Fork a process for each order, and say how it ends, until whoever gives orders has ended."""
    children = Children()
    while True:
        ready, _, _ = select.select([listener, lifeline, *children.watched()], [], [])
        if lifeline in ready:
            children.kill()
            return
        for readable in ready:
            if readable is not listener:
                children.look(readable)
                continue
            line, _ = listener.accept()
            order, files = _read(line)
            is_adopted = order is not None and "numbers" in order
            number = -1 if not order else fork_for_adoption(line) if is_adopted else os.fork()
            if order and number == 0:
                for other in (listener, lifeline, line):
                    other.close()
                children.forget()
                become(order, *files)
                return
            for descriptor in files:
                os.close(descriptor)
            if order and not is_adopted:
                children.add(number, line)
            else:
                line.close()


def fork_for_adoption(line: socket.socket) -> int:
    """Fork twice, and say the number of the second; return 0 in it once it has a session and its new parent."""
    reading, writing = os.pipe()
    between = os.fork()
    if between:
        os.close(writing)
        os.waitpid(between, 0)
        _say(line, int(os.read(reading, 20)))
        os.close(reading)
        return between
    between = os.getpid()
    if os.fork():
        os._exit(0)
    os.setsid()
    while os.getppid() == between:
        time.sleep(0.0005)
    os.write(writing, b"%d" % os.getpid())
    os.close(reading)
    os.close(writing)
    return 0


def _say(line: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError):
        line.sendall(f"{number}\n".encode())


def become(order: dict[str, Any], *files: int) -> None:
    """Be the process of an order: Python with these arguments."""
    numbers = [0, 1, 2, *order.get("numbers", ())]
    # First out of the way of the others.
    away = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, max(numbers) + 1) for descriptor in files]
    for descriptor in files:
        os.close(descriptor)
    for number, descriptor in zip(numbers, away, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if order.get("has_session"):
        os.setsid()
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    sys.argv = order["argv"]
    sys.executable = order["executable"]
    sys.orig_argv = [sys.executable, *sys.argv]
    left: Any = 0
    try:
        _run(sys.argv[0])
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


def _run(what: str) -> None:
    if what == "-":
        sys.path.insert(0, "")
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), vars(main))
    elif what == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(what).parent))
        runpy.run_path(what, run_name="__main__")


def import_all() -> None:
    """Import the package, but for what is a program, and what is known by it whether a run is the first."""
    package = Path(jobcron.__path__[0])
    for path in sorted(package.rglob("*.py")):  # `pkgutil` would import all packages to look into them
        name = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith(NOT_IMPORTED) and not name.endswith(".__main__") and "versions" not in path.parts:
            importlib.import_module(name)
    assert "jobcron.scripts._section_run" not in sys.modules
    configure_mappers()


def _read(line: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return an order and the files of the process, and no order if whoever gave it has died meanwhile."""
    head, files, _, _ = socket.recv_fds(line, 4, 8)
    text = b""
    size = int.from_bytes(head, "big")
    while len(text) < size:
        found = line.recv(size - len(text))
        if not found:
            return None, files
        text += found
    return marshal.loads(text), files


def prepare() -> None:
    """Have the application of most tests, too, as `prepared_application` says."""
    path = sys.path[:]
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "apps")]
    importlib.import_module("prepared_application").prepare()
    sys.path[:] = path
    gc.collect()


if __name__ == "__main__":
    import_all()
    for name in sys.argv[3:]:
        if name == "prepared":
            prepare()
        else:
            importlib.import_module(name)
    # What is there stays there: no child looks through it for garbage, least of all at its end.
    gc.freeze()
    serve(*(socket.socket(fileno=int(number)) for number in sys.argv[1:3]))
