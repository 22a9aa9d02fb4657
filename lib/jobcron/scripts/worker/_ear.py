"""The worker's ear for notifications: opened again when its connection was lost, while the worker polls on."""

from __future__ import annotations

import logging
import selectors
import time

from jobcron.database.connecting.notifications import Listener
from jobcron.database.connecting.patient import Patience
from jobcron.database.connecting.plain import errors_of
from jobcron.reports.logs import NO_OOPS

AGAIN_SECONDS = 10.0
"""How long it waits before it opens another connection."""


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

    def open(self, selector: selectors.BaseSelector) -> None:
        """Begin to listen, if it does not, and was not refused a moment ago."""
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

    def hear(self, selector: selectors.BaseSelector) -> None:
        """Take what has arrived; if the connection was lost, another one is opened later."""
        assert self._listener is not None
        assert self._url is not None
        try:
            self._listener.drain()
        except errors_of(self._url) as error:
            selector.unregister(self._descriptor)  # a lost connection does not tell it any more
            self.close()
            self._lost(error)

    def descriptors(self) -> list[int]:
        """Return the descriptor of the connection, if it is open."""
        return [] if self._listener is None else [self._descriptor]

    def close(self) -> None:
        """Close the connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _lost(self, error: Exception) -> None:
        text = "The worker hears no notifications for now, and only looks each time: %s"
        self._logger.info(text, " ".join(str(error).split()), extra=NO_OOPS)
