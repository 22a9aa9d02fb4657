"""The boundary between two jobs of one process: what the first one changed is put back before the second begins.

Most of a process's state is what the last writer made it. What can be put back is put back. What cannot is
reported with the name of the job that left it, since the jobs that suffer from it later are not to blame.
"""

from __future__ import annotations

import contextvars
import decimal
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Engine

from jobcron.reports.logs import NO_OOPS
from jobcron.runner.surroundings import _interpreter, _kernel
from jobcron.runner.surroundings._item import Instead, Item
from jobcron.runner.surroundings._left import LeftBehind
from jobcron.runner.surroundings._log import LogState
from jobcron.runner.surroundings._own_files import own_files
from jobcron.runner.surroundings._standard import StandardStreams

P = TypeVar("P")
R = TypeVar("R")


class Surroundings:
    """The state of the process around the jobs of a run, as it is when this is made.

    Args:
        logger: of the run.
        engine: of the jobs' database, or None.
    """

    def __init__(self, logger: logging.Logger, engine: Engine | None) -> None:
        self._logger = logger
        self._streams = StandardStreams()
        streams = Item("standard streams", self._streams.read, self._streams.write)
        self._items: tuple[Item, ...] = (*_kernel.ITEMS, streams, *_interpreter.ITEMS)
        self._reads = tuple(item.read for item in self._items)
        self._noted = self._present()
        self._log = LogState()
        self._left = LeftBehind(partial(own_files, engine))

    def close(self) -> None:
        """Close the files that were kept in case a job closes others; put nothing back."""
        self._streams.close()

    def has_changed(self) -> bool:
        """Return whether a job has changed or left behind anything; put nothing back."""
        return self._noted != self._present() or not self._log.is_same or self._left.is_there

    def put_back(self, job: str) -> None:
        """Put back what a job has changed, and log what it left behind.

        Args:
            job: the job's name.
        """
        try:
            changed, kept = self._put_back()
        except Exception:  # raised by the job's own handler of a signal, perhaps of a timer that it had set
            changed, kept = self._put_back()
        if changed:
            self._logger.debug("Put back after %s: %s", job, ", ".join(changed))
        for name in kept:
            self._logger.warning("%s changed what cannot be put back: %s", job, name, extra=NO_OOPS)
        for found in self._left.look():
            level = logging.INFO if found.is_harmless else logging.WARNING
            self._logger.log(level, "%s left behind %s", job, found.text, extra=NO_OOPS)

    def _present(self) -> list[object]:
        return [read() for read in self._reads]

    def _put_back(self) -> tuple[list[str], list[str]]:
        """Put back what differs; return the names of what differed, and of what still differs."""
        changed: list[str] = []
        kept: list[str] = []
        now = self._present()
        if self._noted != now:
            for index in range(len(now)):
                if self._noted[index] != now[index]:
                    changed.append(self._items[index].name)
                    kept += self._put_back_item(index)
        if not self._log.is_same:
            self._log.put_back()
            changed.append("log")
        elif not self._log.is_complete:
            self._log = LogState()
        return changed, kept

    def _put_back_item(self, index: int) -> list[str]:
        """Put back one item; return its name, with the reason, if that cannot be done."""
        item, noted, reason = self._items[index], self._noted[index], ""
        try:
            written = item.write(noted, item.read())
            if isinstance(written, Instead):
                noted = written.state
        except (Exception, SystemExit) as error:
            reason = f" ({type(error).__name__}: {error})"
        self._noted[index] = item.read()  # from now on: the jobs that follow are not to blame
        return [] if self._noted[index] == noted else [item.name + reason]


def in_own_context(function: Callable[[P], R], argument: P) -> R:
    """Call a function in a copy of the context variables and the decimal context: its changes end with it."""
    context = contextvars.copy_context()
    context.run(decimal.setcontext, decimal.getcontext().copy())
    return context.run(function, argument)
