"""Say something once in an interval, however many runs and processes find it.

A small file in the state directory holds what was said, and when. If the file cannot be used, everything is said
each time.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress

from jobcron.settings.directories import read_own, write_whole

MAX_SIZE = 1 << 20


class Reminders:
    """What was said in the last interval.

    Args:
        path: the file; None: nothing is kept.
        interval: for how many seconds a text is not said again.
    """

    def __init__(self, path: str | None = None, interval: float = 0.0) -> None:
        self._path = path
        self._interval = interval

    def is_due(self, text: str) -> bool:
        """Return whether a text has not been said within the interval; note that it is said now."""
        now = time.time()
        said = {known: when for known, when in self._read().items() if 0 <= now - when < self._interval}
        if text in said:
            return False
        if self._path is not None:
            with suppress(OSError):
                write_whole(self._path, json.dumps({**said, text: now}).encode(), is_synced=False)
        return True

    def _read(self) -> dict[str, float]:
        if self._path is None:
            return {}
        try:
            found = read_own(self._path, MAX_SIZE)
            known: object = json.loads(found[0]) if found else {}
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {str(text): when for text, when in known.items() if isinstance(when, int | float)}
