"""A database that is away is told once, and again when the reason changes: cron mails what is told.

While it is away, a small file in the state directory holds the reason; the file's time is when it began. Where the
file cannot be used, an outage is told each time.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import UTC, datetime

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
    temporary = f"{path}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(OSError):
        try:
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                file.write(reason.encode(errors="backslashreplace"))
            if known is not None:
                os.utime(temporary, (known[1], known[1]))
            os.rename(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
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
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                return None
            return file.read(MAX_SIZE).decode(errors="replace"), status.st_mtime
    except OSError:
        return None
