"""``--profile FILE``: where a script's time goes (LP-35)."""

from __future__ import annotations

import cProfile
import errno
import logging
import marshal
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from jobcron.reports.logs import NO_OOPS


class ProfileFile(NamedTuple):
    """A file for a profile, open for writing.

    Attributes:
        path: of the file.
        descriptor: the file itself.
    """

    path: str
    descriptor: int


def open_profile(path: str) -> ProfileFile:
    """Open a file for a profile, for its user alone; what it holds stays until the profile is written.

    Raises:
        OSError: it cannot be written, or is somebody else's.
        ValueError: this is no path.
    """
    # O_NONBLOCK: a pipe that nobody reads is an error, not a wait without end.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    status = os.fstat(descriptor)
    if (
        stat.S_ISREG(status.st_mode) and status.st_uid != os.geteuid()
    ):  # who would read it, or have it written over
        os.close(descriptor)
        raise PermissionError(errno.EPERM, f"it belongs to the user {status.st_uid}")
    return ProfileFile(path, descriptor)


def profiled(work: Callable[[], int | None], file: ProfileFile, logger: logging.Logger) -> int | None:
    """Do `work`, and write its profile however it ends; return what it returns.

    Args:
        work: what is looked at.
        file: where the profile goes.
        logger: told where it cannot be written: the work is done all the same.
    """
    profile = cProfile.Profile()
    try:
        return profile.runcall(work)
    finally:
        profile.create_stats()
        try:
            with os.fdopen(file.descriptor, "wb") as target:
                if stat.S_ISREG(os.fstat(file.descriptor).st_mode):
                    target.truncate(0)
                target.write(marshal.dumps(profile.stats))
        except OSError as error:
            logger.warning("The profile could not be written: %s: %s", file.path, error.strerror, extra=NO_OOPS)
