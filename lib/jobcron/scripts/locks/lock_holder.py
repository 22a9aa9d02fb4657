"""Who holds a section's lock, on this host and in the database, without a touch of it.

To take it, even for a moment, could stop a run.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection

from jobcron.database.statements import execute
from jobcron.jobs.lease import process_of
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


class ClusterHolder(NamedTuple):
    """Who holds the lock of a section in the database: see `jobcron.scripts.locks.cluster`.

    Attributes:
        section: the section.
        name: the name of the run.
        since: when it took the lock, in seconds since 1970, by the database's clock.
        seconds_left: for how long it holds the lock without a renewal; negative: the lease has ended.
    """

    section: str
    name: str
    since: float
    seconds_left: float

    def __str__(self) -> str:
        process = process_of(self.name)
        who = self.name if process is None else f"process {process.pid} on {process.host}"
        return f"{who} since {time.strftime('%FT%TZ', time.gmtime(self.since))}"

    def describe(self) -> str:
        """Say it in words, and how long the lease lasts."""
        left = f"its lease lasts {max(0.0, self.seconds_left):.0f} s, or longer if it is renewed"
        if self.seconds_left <= 0:
            left = f"its lease ended {-self.seconds_left:.0f} s ago, so the next run takes it"
        return f"the lock of section {self.section} in the database is held by {self}; {left}"


def cluster_holder(connection: Connection, section: str) -> ClusterHolder | None:
    """Return who holds the lock of a section in the database; None: nobody does.

    Args:
        connection: only read.
        section: its name.
    """
    row = execute(connection, "lock_state", {"section": section}).first()
    return None if row is None else ClusterHolder(section, row.holder, row.since, row.seconds_left)


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
