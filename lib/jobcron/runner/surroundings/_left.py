"""What a job leaves behind that nobody can take back: threads, child processes, open files.

Each is reported once, with the name of the job that left it. As long as there is nothing, looking is cheap: it
checks the number of threads, whether there is any child, and the lowest free descriptor.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

MANY_FILES = 10
"""A job may keep a connection for later ones: only so many files that stay open are a leak."""

MAX_SHOWN = 5


class Found(NamedTuple):
    """What a job left behind.

    Attributes:
        text: what it is.
        is_harmless: whether it is nothing to worry about yet.
    """

    text: str
    is_harmless: bool = False


class LeftBehind:
    """Finds threads, child processes and open files that were not there before.

    Args:
        own_files: return the descriptors, and the paths, of open files that belong to the run.
    """

    def __init__(self, own_files: Callable[[], tuple[set[int], tuple[str, ...]]]) -> None:
        self._own_files = own_files
        self._kept_open = 0
        self.note()

    def note(self) -> None:
        """Note the present threads, child processes and open files as known."""
        self._count = threading.active_count()
        self._threads = set(threading.enumerate())
        self._children = _children()
        self._files = _files()
        self._lowest = _lowest_free()

    @property
    def is_there(self) -> bool:
        """Whether there may be anything new, since the last call of `look`."""
        if threading.active_count() != self._count and self._unknown_threads(set(threading.enumerate())):
            return True
        if _has_children() and _children() - self._children:
            return True
        return _lowest_free() != self._lowest and bool(self._unknown_files(_files()))

    def look(self) -> Iterator[Found]:
        """Yield what is new since the last call."""
        if threading.active_count() != self._count:
            yield from self._new_threads()
        if _has_children():
            yield from self._new_children()
        if _lowest_free() != self._lowest:
            yield from self._new_files()

    def _new_threads(self) -> Iterator[Found]:
        present = set(threading.enumerate())
        names = self._unknown_threads(present)
        self._count, self._threads = len(present), present
        if names:
            yield Found(_text("thread", "threads", "still run", names))

    def _unknown_threads(self, present: set[threading.Thread]) -> list[str]:
        # Without those that Python did not start: a library's, or the keeper's, which have logged something.
        return [t.name for t in present - self._threads if not isinstance(t, threading._DummyThread)]

    def _new_children(self) -> Iterator[Found]:
        present = _children()
        new, self._children = present - self._children, present
        if new:
            names = [f"{process} ({_command(process)})" for process in sorted(new)]
            yield Found(_text("child process", "child processes", "still run", names))

    def _new_files(self) -> Iterator[Found]:
        present = _files()
        new = self._unknown_files(present)
        self._files, self._lowest = present, _lowest_free()
        if not new:
            return
        earlier, self._kept_open = self._kept_open, self._kept_open + len(new)
        is_harmless = earlier // MANY_FILES == self._kept_open // MANY_FILES
        text = _text("file", "files", "are still open", new)
        if not is_harmless:
            text += f"; this run's jobs have left {self._kept_open} open"
        yield Found(text, is_harmless)

    def _unknown_files(self, present: dict[int, str]) -> list[str]:
        before = self._files
        numbers, paths = self._own_files()
        new = [
            target
            for number, target in present.items()
            if before.get(number) != target and number not in numbers and not target.startswith(paths)
        ]
        return new[: max(0, len(present) - len(before))]  # a file of the log was opened again, for instance


def _text(one: str, many: str, how: str, names: list[str]) -> str:
    shown = ", ".join(names[:MAX_SHOWN]) + (", …" if len(names) > MAX_SHOWN else "")
    how = how.replace("are", "is").replace("run", "runs") if len(names) == 1 else how
    return f"{len(names)} {one if len(names) == 1 else many} that {how}: {shown}"


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # it stays to be waited for
    except ChildProcessError:
        return False
    return True


def _children() -> frozenset[int]:
    """Return the ids of the live child processes; none if the kernel does not say."""
    if not _has_children():
        return frozenset()
    found: set[int] = set()
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with suppress(OSError), open(f"/proc/self/task/{thread}/children", encoding="ascii") as file:
                found.update(map(int, file.read().split()))
    return frozenset(filter(_is_alive, found))


def _is_alive(process: int) -> bool:
    with suppress(OSError), open(f"/proc/{process}/stat", encoding="latin-1") as file:
        return not file.read().rpartition(")")[2].startswith(" Z")
    return False


def _command(process: int) -> str:
    with suppress(OSError), open(f"/proc/{process}/comm", encoding="latin-1") as file:
        return file.read().strip()
    return "ended meanwhile"


def _lowest_free() -> int:
    """Return the number that the next file would get: it rises while a file that was opened stays open."""
    try:
        number = os.dup(0)
    except OSError:  # closed, or there are too many
        return -1
    os.close(number)
    return number


def _files() -> dict[int, str]:
    """Return the open files by their descriptors; none if the kernel does not say."""
    found = {}
    with suppress(OSError):
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):  # the listing's own
                found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found
