"""``--profile FILE``: measure where a script spends its time (LP-35)."""

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
from jobcron.settings.directories import user_named


class ProfileFile(NamedTuple):
    """A file for a profile, open for writing.

    Attributes:
        path: the path of the file.
        descriptor: the file itself.
    """

    path: str
    descriptor: int


def open_profile(path: str) -> ProfileFile:
    """Open a file for a profile, readable by its owner only; its content stays until the profile is written.

    Raises:
        OSError: it cannot be written, or belongs to another user.
        ValueError: this is not a path.
    """
    # O_NONBLOCK: a pipe without a reader is an error, not an endless wait.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    status = os.fstat(descriptor)
    if (
        stat.S_ISREG(status.st_mode) and status.st_uid != os.geteuid()
    ):  # others could read it or have it overwritten
        os.close(descriptor)
        raise PermissionError(errno.EPERM, f"it belongs to the user {user_named(status.st_uid)}")
    return ProfileFile(path, descriptor)


def profiled(work: Callable[[], int | None], file: ProfileFile, logger: logging.Logger) -> int | None:
    """Call `work`, and write its profile however it ends; return its result.

    Args:
        work: the function to measure.
        file: the file for the profile.
        logger: logs it if the profile cannot be written; the work is done all the same.
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
