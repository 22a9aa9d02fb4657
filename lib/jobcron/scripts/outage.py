"""Log an unavailable database once, and again when the reason changes: cron mails whatever is logged.

During the outage, a small file in the state directory holds the reason; the file's time is the start. If the
file cannot be used, the outage is logged each time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime

from jobcron.settings.directories import read_own, write_whole

MAX_SIZE = 1 << 16


def reason_of(path: str) -> str | None:
    """Return the reason for the outage, as recorded in the file `path`; None if no outage is known."""
    known = _read(path)
    return known and known[0]


def begin(path: str, reason: str) -> bool:
    """Record that the database is unavailable; return whether this is new.

    Args:
        path: the path of the file.
        reason: the reason.
    """
    known = _read(path)
    if known is not None and known[0] == reason:
        return False
    content = reason.encode(errors="backslashreplace")
    with suppress(OSError):
        write_whole(path, content, is_synced=False, modified=None if known is None else known[1])
    return True


def end(path: str) -> str | None:
    """Record that the database is available; return the start of the outage, or None if none was recorded."""
    known = _read(path)
    try:
        os.unlink(path)
    except OSError:  # another run was first; or it cannot be removed, and would be logged for ever
        return None
    return known and f"{datetime.fromtimestamp(known[1], UTC):%Y-%m-%d %H:%M:%S} UTC"


def _read(path: str) -> tuple[str, float] | None:
    try:
        found = read_own(path, MAX_SIZE)
    except OSError:
        return None
    return found and (found[0].decode(errors="replace"), found[1].st_mtime)
