"""Claimed jobs that have not started: what is given back when the current one is slow."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from jobcron.database.database import TransactionSource
from jobcron.database.retry import TRIES
from jobcron.jobs.lease import Claim
from jobcron.queue.finish import set_aside
from jobcron.queue.loading import Claimed
from jobcron.queue.outcome import NotStarted


class Backlog:
    """The jobs that are claimed and not started yet; the runner and the keeper take from it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going_back = threading.Lock()
        self._has_returned = False
        self._waiting: deque[Claimed] = deque()

    def extend(self, entries: Iterable[Claimed]) -> None:
        """Add claimed jobs at the end."""
        with self._lock:
            self._waiting.extend(entries)

    def next(self) -> Claimed | None:
        """Take the first, or None."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def give_back(self, write: Callable[[Claim], object]) -> bool:
        """Let `write` return the one that would run last to the queue; tell whether there was one."""
        with self._going_back:
            with self._lock:
                if not self._waiting:
                    return False
                entry = self._waiting.pop()
            try:
                write(entry.claim)
            except BaseException:
                self.extend([entry])
                raise
            self._has_returned = True
            return True

    def has_returned(self) -> bool:
        """Tell whether any went back since this was asked last, once none is on its way."""
        with self._going_back:
            returned, self._has_returned = self._has_returned, False
            return returned

    def __len__(self) -> int:
        return len(self._waiting)


def give_back(
    database: TransactionSource,
    backlog: Backlog,
    tries: int = TRIES,
    go_on: Callable[[], bool] = lambda: True,
) -> None:
    """Return the jobs that were claimed and not started to the queue, the last first.

    Args:
        database: where they are.
        backlog: of which none is left, unless this raises or is stopped.
        tries: how often each is tried where the database is in trouble.
        go_on: asked before each; the keeper stops when the slow job ends and the runner takes the next.
    """

    def write(claim: Claim) -> object:
        return set_aside(database, claim, NotStarted(), tries=tries)

    while go_on() and backlog.give_back(write):
        pass
