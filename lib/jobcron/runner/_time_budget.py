"""How long a run may go on: the ``max_runtime`` of a section, and how long its jobs take."""

from __future__ import annotations

import logging
import time

from jobcron.queue.type_feed import smoothed


class Runtime:
    """What is left of a run's time.

    The first job is always started: a section whose jobs take longer than its `max_runtime` gets on all the same.

    Args:
        max_runtime: in seconds; None: for ever.
        typical_seconds: how long a job took in earlier runs; None: nobody knows.
    """

    def __init__(self, max_runtime: float | None, typical_seconds: float | None = None) -> None:
        self.max_runtime = max_runtime
        self._began = time.monotonic()
        self._typical = typical_seconds
        self._is_first = True

    def took(self, seconds: float) -> None:
        """Learn how long a job took."""
        self._typical = smoothed(self._typical, seconds)

    @property
    def elapsed(self) -> float:
        """How long the run has gone on, in seconds."""
        return time.monotonic() - self._began

    def may_start(self) -> bool:
        """Tell whether one more job may start: the first, or one that, as long as they are, will end in time."""
        is_first, self._is_first = self._is_first, False
        if is_first or self.max_runtime is None or self._typical is None:
            return True
        return self.elapsed + self._typical <= self.max_runtime

    def tell(self, logger: logging.Logger) -> None:
        """Log why nothing more is started."""
        logger.info(
            "Another job may not end within max_runtime, %g seconds, of which %.1f are over: what is left "
            "waits for the next run.",
            self.max_runtime,
            self.elapsed,
        )
