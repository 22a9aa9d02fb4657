"""Log an unavailable database once, and again when the reason changes: cron mails whatever is logged.

During the outage, a small file in the state directory holds the reason and, in its last line, how many runs it has
met; the file's time is the start. If the file cannot be used, the outage is logged each time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from jobcron.settings.directories import read_own, write_whole

MAX_SIZE = 1 << 16

MAX_DIGITS = 12
"""Digits of the number of runs; more of them are no number that we wrote."""


class Outage(NamedTuple):
    """An outage that is recorded.

    Attributes:
        reason: why the database is unavailable.
        runs: how many runs in succession did not find it.
        since: when the first of them ended.
    """

    reason: str
    runs: int
    since: datetime


def outage_of(path: str) -> Outage | None:
    """Return the outage that is recorded in the file `path`; None if no outage is known."""
    try:
        found = read_own(path, MAX_SIZE)
    except OSError:
        return None
    if found is None:
        return None
    text, status = found[0].decode(errors="replace"), found[1]
    reason, _, runs = text.rpartition("\n")
    since = datetime.fromtimestamp(status.st_mtime, UTC)
    if not (runs.isascii() and runs.isdigit() and len(runs) <= MAX_DIGITS):  # an older release wrote no number
        return Outage(text, 1, since)
    return Outage(reason, int(runs), since)


def reason_of(path: str) -> str | None:
    """Return the reason for the outage, as recorded in the file `path`; None if no outage is known."""
    known = outage_of(path)
    return known and known.reason


def begin(path: str, reason: str) -> bool:
    """Record that the database is unavailable; return whether this is new.

    Args:
        path: the path of the file.
        reason: the reason.
    """
    known = outage_of(path)
    reason = reason.encode(errors="backslashreplace").decode()
    content = f"{reason}\n{1 if known is None else known.runs + 1}"
    with suppress(OSError):
        started = None if known is None else known.since.timestamp()
        write_whole(path, content.encode(), is_synced=False, modified=started)
    return known is None or known.reason != reason


def end(path: str) -> str | None:
    """Record that the database is available; return the start of the outage, or None if none was recorded."""
    known = outage_of(path)
    try:
        os.unlink(path)
    except OSError:  # another run was first; or it cannot be removed, and would be logged for ever
        return None
    return known and f"{known.since:%Y-%m-%d %H:%M:%S} UTC"
