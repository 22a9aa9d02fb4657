"""A database that is away is told once, and again when the reason changes: cron mails what is told.

While it is away, a small file in the state directory holds the reason; the file's time is when it began. Where the
file cannot be used, an outage is told each time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime

from jobcron.settings.directories import read_own, write_whole

MAX_SIZE = 1 << 16


def reason_of(path: str) -> str | None:
    """Return why the database is away, as noted in the file `path`; None where it is not, as far as known."""
    known = _read(path)
    return known and known[0]


def begin(path: str, reason: str) -> bool:
    """Note that the database is away; tell whether that is news.

    Args:
        path: of the file.
        reason: why.
    """
    known = _read(path)
    if known is not None and known[0] == reason:
        return False
    content = reason.encode(errors="backslashreplace")
    with suppress(OSError):
        write_whole(path, content, is_synced=False, modified=None if known is None else known[1])
    return True


def end(path: str) -> str | None:
    """Note that the database is there again; return since when it was away, or None where nobody noted that."""
    known = _read(path)
    try:
        os.unlink(path)
    except OSError:  # another run was first; or it cannot be removed, and would be told for ever
        return None
    return known and f"{datetime.fromtimestamp(known[1], UTC):%Y-%m-%d %H:%M:%S} UTC"


def _read(path: str) -> tuple[str, float] | None:
    try:
        found = read_own(path, MAX_SIZE)
    except OSError:
        return None
    return found and (found[0].decode(errors="replace"), found[1].st_mtime)
