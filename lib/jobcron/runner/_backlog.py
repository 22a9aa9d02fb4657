"""Claimed jobs that have not started; they are released when the current job is slow."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from jobcron.database.database import TransactionSource
from jobcron.database.retry import TRIES
from jobcron.jobs.lease import Claim
from jobcron.queue.finish import set_aside
from jobcron.queue.loading import Claimed
from jobcron.queue.outcome import NotStarted
from jobcron.runner.surroundings.real import allocate_lock


class Backlog:
    """The claimed jobs that have not started; the runner and the keeper both take from it."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._going_back = allocate_lock()
        self._has_returned = False
        self._waiting: deque[Claimed] = deque()
        self._seen: tuple[Claim, float] | None = None

    def extend(self, entries: Iterable[Claimed]) -> None:
        """Append claimed jobs."""
        with self._lock:
            self._waiting.extend(entries)

    def next(self) -> Claimed | None:
        """Remove and return the first job, or None."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    @property
    def first(self) -> Claimed | None:
        """The job that is next, or None."""
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def saw(self, claim: Claim) -> None:
        """Note that this run was just seen to hold a job."""
        self._seen = claim, time.monotonic()

    def has_seen(self, entry: Claimed, seconds: float) -> bool:
        """Return whether this run was seen to hold a job within the last seconds."""
        seen, at = self._seen or (None, 0.0)
        return seen == entry.claim and time.monotonic() < at + seconds

    def look(self, still: Callable[[Sequence[Claim]], Collection[Claim]]) -> list[Claimed]:
        """Remove and return the jobs that this run no longer holds.

        Args:
            still: returns those of some claims that are.
        """
        with self._going_back, self._lock:
            known = list(self._waiting)
            ours = still([entry.claim for entry in known]) if known else ()
            self._waiting = deque(entry for entry in known if entry.claim in ours)
        return [entry for entry in known if entry.claim not in ours]

    def give_back(self, write: Callable[[Claim], object]) -> bool:
        """Release the job that would run last, with `write`; return whether there was one."""
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
        """Return whether any job was released since the last call; first wait for a release in progress."""
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
    """Release the jobs that were claimed but not started, the last one first.

    Args:
        database: the database of the jobs.
        backlog: the jobs; it is empty afterwards, unless this raises or is stopped.
        tries: how often to try each job while the database is in trouble.
        go_on: called before each job. The keeper stops when the slow job ends and the runner takes the next.
    """

    def write(claim: Claim) -> object:
        return set_aside(database, claim, NotStarted(), tries=tries)

    while go_on() and backlog.give_back(write):
        pass
