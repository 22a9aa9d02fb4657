"""The worker's ear for notifications: opened again when its connection was lost, while the worker polls on.

All workers hear of each job, and one gets it. So who has lately come too late waits for a moment before it looks,
and mostly finds that there is nothing to do any more; who has got the last job looks at once. And an ear that has
heard something rests until the worker has looked: it is about to see whatever else is said meanwhile.
"""

from __future__ import annotations

import logging
import selectors
import time
from random import uniform

from jobcron.database.connecting.notifications import Listener
from jobcron.database.connecting.patient import Patience
from jobcron.database.connecting.plain import errors_of
from jobcron.reports.logs import NO_OOPS

AGAIN_SECONDS = 10.0
"""How long it waits before it opens another connection."""

REST_SECONDS = 1.0
"""How long it rests at most: the server keeps what nobody takes."""

LEAST_LEFT = 0.008
"""How long at most a job is left to others by a worker that came too late for the last one, in seconds."""

MOST_LEFT = 0.05
"""For how long at most a worker that always comes too late leaves all jobs to others, in seconds."""

MOST_LATE = 3
"""After so many times it does so for `MOST_LEFT`; each time before, for half as long as the next time."""


class Ear:
    """Hears that jobs were committed.

    Args:
        url: the database's URL; None: there is nothing to hear.
        logger: the worker's log.

    Attributes:
        patience: how long it waits for the server.
    """

    def __init__(self, url: str | None, logger: logging.Logger) -> None:
        self._url = url
        self.patience: Patience = lambda: True
        self._logger = logger
        self._listener: Listener | None = None
        self._descriptor = -1
        self._open_at = 0.0
        self._rests_until: float | None = None
        self._late, self._late_at = 0, 0.0

    @property
    def is_open(self) -> bool:
        """Whether it listens, be it that it rests."""
        return self._listener is not None

    @property
    def is_first(self) -> bool:
        """Whether the worker has got the last job of which it knows, or knows of none."""
        return not self._late

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
        """Take what has arrived, and rest; return after how many seconds to look for jobs.

        If the connection was lost, another one is opened later.
        """
        assert self._listener is not None
        assert self._url is not None
        selector.unregister(self._descriptor)  # first: a lost connection does not tell it any more
        try:
            self._listener.drain()
        except errors_of(self._url) as error:
            self.close()
            self._lost(error)
            return 0.0
        self._rests_until = time.monotonic() + REST_SECONDS
        if self.is_first:
            return 0.0
        pause = uniform(0.5, 1.0) * MOST_LEFT * 0.5 ** (MOST_LATE - self._late)
        return max(uniform(0.5, 1.0) * LEAST_LEFT, self._late_at + pause - time.monotonic())

    def attend(self, selector: selectors.BaseSelector) -> None:
        """End the rest, if it rests: what is said from now on is heard."""
        if self._rests_until is not None:
            self._rests_until = None
            selector.register(self._descriptor, selectors.EVENT_READ, self)

    def came_in_time(self) -> None:
        """Note that the worker has got a job."""
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
