"""Fork the children of isolated runs that the tests' own process starts: an import costs them half a second.

It has to be a child of the process that runs the section: that waits for it, and its death ends the child. So the
fork server forks twice, and what is between ends at once: the child gets another parent, which is this process,
since it adopts what its descendants leave behind as long as it starts one.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fork_server import ForkServer
from jobcron.runner.isolated import _child

PR_SET_CHILD_SUBREAPER = 36

_adopting = threading.Lock()


class AdoptedChild:
    """The part of ``subprocess.Popen`` that an isolated run uses, for a child that was forked elsewhere."""

    def __init__(self, number: int) -> None:
        self.pid = number
        self.returncode: int | None = None

    def wait(self) -> int:
        """Wait for its end; return its status."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def fork_isolated_children(server: Callable[[], ForkServer]) -> None:
    """Let isolated runs in this process have children of a fork server, unless a fork would not do."""
    processes = vars(_child)["subprocess"]  # a copy of the module, of its own
    start = processes.Popen

    def forked(command: Sequence[str], *, env: Mapping[str, str], **options: Any) -> Any:
        if command[0] != sys.executable or not server().is_ours or not server().suits(env):
            return start(command, env=env, **options)
        pass_fds = options["pass_fds"]
        with open(os.devnull, "rb") as nothing, _adopted():
            files = (nothing.fileno(), options["stdout"], options["stderr"], *pass_fds)
            return AdoptedChild(server().adopt(command, env, files, pass_fds))

    processes.Popen = forked


@contextmanager
def _adopted() -> Iterator[None]:
    """Be the parent of those whose parents have ended."""
    with _adopting:
        _adopt(1)
        try:
            yield
        finally:
            _adopt(0)


def _adopt(whether: int) -> None:
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, whether, 0, 0, 0) == 0
