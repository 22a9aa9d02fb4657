"""The worker's ear for notifications: opened again when its connection was lost, while the worker polls on.

All workers hear of each job, and one gets it. So each has a share: it looks at once for the jobs that are its
own by what their notification says, and for others only if these have been left for a moment. Where the shares
are not known, who has lately come too late waits, and who has got the last job looks at once. And an ear that has
heard of an own job rests until the worker has looked: it is about to see whatever else is said meanwhile.
"""

# why: decisions 2026-12-01, workers share the jobs of which they hear

from __future__ import annotations

import logging
import selectors
import time
from random import uniform
from typing import NamedTuple
from zlib import crc32

from jobcron.database.connecting.notifications import WORKER, Listener
from jobcron.database.connecting.patient import Patience
from jobcron.database.connecting.plain import errors_of
from jobcron.reports.logs import NO_OOPS

AGAIN_SECONDS = 10.0
"""How long it waits before it opens another connection."""

REST_SECONDS = 1.0
"""How long it rests at most: the server keeps what nobody takes."""

LEAST_LEFT = 0.02
"""How old a job is at least that a worker takes which is another one's, in seconds."""

MOST_LEFT = 0.1
"""For how long at most a worker that always comes too late leaves all jobs to others, in seconds."""

MOST_LATE = 3
"""After so many times it does so for `MOST_LEFT`; each time before, for half as long as the next time."""


class Share(NamedTuple):
    """A worker's share of the jobs.

    Attributes:
        before: how many of the workers with the same sections are before it.
        workers: how many there are; one: nobody else is known.
    """

    before: int = 0
    workers: int = 1

    def has(self, told: str) -> bool:
        """Return whether a job is of this share.

        Args:
            told: what its notification says.
        """
        return told != WORKER and crc32(told.encode()) % self.workers == self.before


class Ear:
    """Hears that jobs were committed.

    Args:
        url: the database's URL; None: there is nothing to hear.
        logger: the worker's log.

    Attributes:
        patience: how long it waits for the server.
        share: the worker's share of the jobs: it looks for these first.
        has_heard_of_worker: whether a worker has come, or leaves, since the share was learned.
    """

    def __init__(self, url: str | None, logger: logging.Logger) -> None:
        self._url = url
        self.patience: Patience = lambda: True
        self.share = Share()
        self.has_heard_of_worker = False
        self._logger = logger
        self._listener: Listener | None = None
        self._descriptor = -1
        self._open_at = 0.0
        self._rests_until: float | None = None
        self._late, self._late_at, self._heard_at = 0, 0.0, 0.0

    @property
    def hears(self) -> bool:
        """Whether the worker is to be notified at all."""
        return self._url is not None

    @property
    def is_open(self) -> bool:
        """Whether it listens, be it that it rests."""
        return self._listener is not None

    @property
    def is_shared(self) -> bool:
        """Whether it listens, and others are known that have a share as well."""
        return self.is_open and self.share.workers > 1

    @property
    def has_just_heard(self) -> bool:
        """Whether it was told of jobs so lately that a look passes over them which leaves them to others."""
        return time.monotonic() < self._heard_at + LEAST_LEFT

    @property
    def rest_left(self) -> float:
        """How many seconds it rests on at most; infinite if it does not rest."""
        return float("inf") if self._rests_until is None else max(0.0, self._rests_until - time.monotonic())

    def open(self, selector: selectors.BaseSelector) -> None:
        """Begin to listen, if it does not, and was not refused a moment ago; end a rest that was too long."""
        if not self.rest_left:
            self.attend(selector)
        if self._url is None or self._listener is not None or time.monotonic() < self._open_at:
            return
        self._open_at = time.monotonic() + AGAIN_SECONDS
        try:
            self._listener = Listener(self._url, self.patience)
        except errors_of(self._url) as error:
            self._lost(error)
        else:
            self._descriptor = self._listener.fileno()
            selector.register(self._descriptor, selectors.EVENT_READ, self)

    def hear(self, selector: selectors.BaseSelector) -> float:
        """Take what has arrived; return after how many seconds to look for jobs, infinite: none were told of.

        If the connection was lost, another one is opened later.
        """
        assert self._listener is not None
        assert self._url is not None
        try:
            told = {*self._listener.drain()}
        except errors_of(self._url) as error:
            selector.unregister(self._descriptor)
            self.close()
            self._lost(error)
            return 0.0
        if WORKER in told:
            told.remove(WORKER)
            self.has_heard_of_worker = True
        if not told:
            return float("inf")
        self._heard_at = time.monotonic()
        is_first = any(map(self.share.has, told)) if self.is_shared else not self._late
        if is_first or not self.is_shared:
            selector.unregister(self._descriptor)
            self._rests_until = time.monotonic() + REST_SECONDS
        return 0.0 if is_first else self.pause()

    def pause(self) -> float:
        """Return for how many seconds to leave jobs to others."""
        pause = uniform(0.5, 1.0) * MOST_LEFT * 0.5 ** (MOST_LATE - self._late) if self._late else 0.0
        left = max(uniform(1.0, 1.5) * LEAST_LEFT, self._late_at + pause - time.monotonic())
        return left if self.is_shared else left / 2  # perhaps nobody else is there

    def attend(self, selector: selectors.BaseSelector) -> None:
        """End the rest, if it rests: what is said from now on is heard."""
        if self._rests_until is not None:
            self._rests_until = None
            selector.register(self._descriptor, selectors.EVENT_READ, self)

    def came_in_time(self, *, is_ours: bool) -> None:
        """Note that the worker has got a job.

        Args:
            is_ours: whether it may be of its share; one that was left to others, and had to be taken, tells more.
        """
        if not is_ours or not self.is_shared:
            self._late = 0

    def came_too_late(self) -> None:
        """Note that the worker has looked for a job, and others had it."""
        self._late, self._late_at = min(MOST_LATE, self._late + 1), time.monotonic()

    def descriptors(self) -> list[int]:
        """Return the descriptor of the connection, if it is open."""
        return [] if self._listener is None else [self._descriptor]

    def close(self) -> None:
        """Close the connection."""
        self._rests_until = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _lost(self, error: Exception) -> None:
        text = "The worker hears no notifications for now, and only looks each time: %s"
        self._logger.info(text, " ".join(str(error).split()), extra=NO_OOPS)


class Told(NamedTuple):
    """What a look has to know.

    Attributes:
        has_heard: whether the worker was told of jobs.
        is_first: whether some of these are its own to look for, and not left to others.
    """

    has_heard: bool
    is_first: bool


class News:
    """Remembers what was told while no process had time: a process that has time again makes it new."""

    def __init__(self) -> None:
        self._has_heard = self._is_first = self._is_missed = False

    def hear(self, *, is_first: bool) -> None:
        """Note that jobs were told of; for `is_first` see `Told`."""
        self._has_heard = True
        self._is_first |= is_first

    def miss(self) -> None:
        """Note that a look has found a job for which no process has time."""
        self._is_missed = self._is_first = True

    def for_look(self, *, asks_all: bool) -> Told:
        """Return what was told since the last look.

        Args:
            asks_all: whether all sections are asked; else, of some, a job may have come when a process had just
                found nothing more, but had not yet said so.
        """
        told = Told(self._has_heard, self._is_first)
        self._is_missed = (self._is_missed or self._has_heard) and not asks_all
        self._has_heard = False
        self._is_first &= self._is_missed
        return told

    def process_has_time(self) -> Told | None:
        """Return what is to be looked for now that a process has time again; None: nothing was missed."""
        if not self._is_missed:
            return None
        self._has_heard, self._is_missed = True, False
        return Told(self._has_heard, self._is_first)
