"""The time budget of a run: the ``max_runtime`` of a section, and the typical duration of its jobs."""

from __future__ import annotations

import logging
import time

from jobcron.queue.type_feed import smoothed


# why: decisions 2026-11-24, `max_runtime` judges by run rows
class Runtime:
    """The time that a run has left.

    The first job always starts, so a section whose jobs take longer than its `max_runtime` still makes
    progress.

    Args:
        max_runtime: in seconds; None: unlimited.
        typical_seconds: how long a job took in earlier runs; None: unknown.
    """

    def __init__(self, max_runtime: float | None, typical_seconds: float | None = None) -> None:
        self.max_runtime = max_runtime
        self._began = time.monotonic()
        self._typical = typical_seconds
        self._is_first = True

    def took(self, seconds: float) -> None:
        """Note how long a job took, in seconds."""
        self._typical = smoothed(self._typical, seconds)

    @property
    def elapsed(self) -> float:
        """How long the run has lasted, in seconds."""
        return time.monotonic() - self._began

    def may_start(self) -> bool:
        """Return whether one more job may start: the first, or one that should end in time if it is typical."""
        is_first, self._is_first = self._is_first, False
        if is_first or self.max_runtime is None or self._typical is None:
            return True
        return self.elapsed + self._typical <= self.max_runtime

    def tell(self, logger: logging.Logger) -> None:
        """Log why no more jobs are started."""
        logger.info(
            "Another job may not end within max_runtime, %g seconds, of which %.1f are over: what is left "
            "waits for the next run.",
            self.max_runtime,
            self.elapsed,
        )
