"""Who holds a section's lock, without a touch of it: to take it, even for a moment, could stop a run."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

from jobcron.scripts.locks.holders import lock_file, names_of_the_dead

LOCKS = "/proc/locks"


class Holder(NamedTuple):
    """Who holds a lock.

    Attributes:
        pid: the process, on this host; 0 if it is one that this process may not see, as outside a container.
        said: what it wrote into the lock's file.
    """

    pid: int
    said: str

    def __str__(self) -> str:
        return self.said or f"process {self.pid}"


def lock_holder(directory: str, name: str) -> Holder | None:
    """Return who holds the lock of a section on this host; None if nobody does, or if the system does not tell.

    Args:
        directory: the directory of all locks.
        name: the section's name.
    """
    path = lock_file(directory, name)
    with suppress(OSError), open(LOCKS, encoding="ascii", errors="replace") as locks:
        found = os.lstat(path)
        file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        for line in locks:
            words = line.split()  # "1: FLOCK ADVISORY WRITE 4711 08:01:123 0 EOF"; "->" marks one that waits
            if len(words) > 5 and words[1] == "FLOCK" and words[5] == file:
                return Holder(max(0, int(words[4])), _said(path))
    return None


def gone_claimants(directory: str, name: str) -> tuple[str, ...]:
    """Return the names under which runs of a section claimed that are over: the next run takes their jobs over."""
    return names_of_the_dead(lock_file(directory, name))


def _said(path: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.readline(200).strip()
    return ""
