"""The progress of a long run, in one line that is overwritten: for a person at a terminal, never for cron."""

from __future__ import annotations

import logging
import time

from jobcron.reports.logs import StandardError
from jobcron.reports.plurals import counted

INTERVAL_SECONDS = 1.0


class Progress:
    """Shows the number of jobs run, about once a second; the first time after one second.

    Args:
        handler: writes to the terminal; None: show nothing.
    """

    def __init__(self, handler: StandardError | None) -> None:
        self._handler = handler
        self._began = self._shown = time.monotonic()

    @property
    def is_shown(self) -> bool:
        """Whether anybody sees it."""
        return self._handler is not None

    def show(self, completed: int, incomplete: int) -> None:
        """Show the counts, if a second has passed."""
        now = time.monotonic()
        if self._handler is None or now < self._shown + INTERVAL_SECONDS:
            return
        self._shown = now
        rate = (completed + incomplete) / (now - self._began)
        self._handler.show_status(
            f"{counted(completed, 'job')} completed, {incomplete} did not, {rate:.1f} a second"
        )

    def close(self) -> None:
        """Erase the line."""
        if self._handler is not None:
            self._handler.show_status("")


def terminal_progress() -> Progress:
    """Return the progress line of this process: on the terminal to which it logs, if it does."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, StandardError) and handler.level <= logging.INFO and handler.is_terminal():
            return Progress(handler)
    return Progress(None)
