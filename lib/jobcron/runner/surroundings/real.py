"""The operating system's threads, locks and waiting, even if an application has replaced Python's functions.

gevent and eventlet replace functions of `_thread`, `select`, `time` and `socket`. With theirs, a "thread" is a
function in the job's own thread, and nothing else runs while a job computes. Code that must run beside the job,
such as the keeper, uses the functions of this module.
"""

from __future__ import annotations

import posix
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import module_from_spec
from types import BuiltinFunctionType, ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import _thread
    import select as _select
    import socket as _socket
    import time as _time


def _module(name: str, function: str) -> ModuleType:
    """Return a module without replaced functions: the module itself, or a fresh copy of it.

    This is imported before the application, but a script may have replaced things before it imported us.

    Args:
        name: of the module.
        function: one of those that are replaced. The real one is in C, or defined in its own module.
    """
    module = __import__(name)
    found = vars(module)[function]
    is_real = isinstance(found, BuiltinFunctionType) or found.__module__ == name
    return module if is_real else copy_of(module)


def copy_of(module: ModuleType) -> ModuleType:
    """Return a private copy of a module of the standard library, in which nobody else can replace functions."""
    spec = module.__spec__
    assert spec is not None
    assert spec.loader is not None
    fresh = module_from_spec(spec)
    spec.loader.exec_module(fresh)
    return fresh


if not TYPE_CHECKING:
    _thread = _module("_thread", "start_new_thread")
    _select = _module("select", "select")
    _time = _module("time", "sleep")
    _socket = _module("socket", "socket")

read = posix.read  # not that of `os`: eventlet's waits for what is not there yet
select = _select.select
sleep = _time.sleep
allocate_lock = _thread.allocate_lock
get_ident = _thread.get_ident
_start = _thread.start_new_thread
_Socket = _socket.socket
_pair = sys.modules["_socket"].socketpair


def socket_pair() -> tuple[_socket.socket, _socket.socket]:
    """Return two connected sockets in blocking mode."""
    one, other = (_Socket(fileno=end.detach()) for end in _pair())
    return one, other


class Thread:
    """A thread of the operating system; it does not keep the process from ending.

    Args:
        work: what it does.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._ended = allocate_lock()

    def start(self) -> None:
        """Start the thread."""
        self._ended.acquire()
        _start(self._run, ())

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end, at most this many seconds; return whether it has ended."""
        if not self._ended.acquire(timeout=timeout):
            return False
        self._ended.release()
        return True

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended.release()


class Bell:
    """A bell that one thread waits for and others ring; ringing it again before it is heard has no effect."""

    def __init__(self) -> None:
        self._silence = allocate_lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Wake the thread that waits, or else the next one that begins to wait."""
        with suppress(RuntimeError):  # it has not been heard yet
            self._silence.release()

    def wait(self) -> None:
        """Wait until the bell rings."""
        self._silence.acquire()
