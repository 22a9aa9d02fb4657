"""Trouble that is particular to SQLite: journal mode, file system."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sqlalchemy import Connection, text

from jobcron.operations.reasons import Finding
from jobcron.queue.health import Health

MOUNTS = "/proc/mounts"

NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smbfs",
    "smb3",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "fuse.glusterfs",
)
"""File systems whose locks do not hold between hosts, or not always."""


def sqlite_findings(connection: Connection) -> Iterator[Finding]:
    """Yield what is wrong with the database, over a connection that is only read."""
    mode = connection.scalar(text("PRAGMA journal_mode"))
    if mode != "wal":
        told = f"the journal mode is {mode}: who reads keeps a job from its commit"
        yield Finding(
            "journal", Health.WARNING, told, "PRAGMA journal_mode = wal, while nothing else is connected"
        )
    path = connection.engine.url.database or ""
    kind = file_system_of(os.path.realpath(path))
    if kind in NETWORK:
        told = f"{path} is on the file system {kind}: SQLite's locks do not hold there, and the file gets damaged"
        yield Finding("file system", Health.CRITICAL, told, "move it to a local disk, or use PostgreSQL")


def file_system_of(path: str) -> str | None:
    """Return the kind of the file system of a path; None if the system does not tell."""
    best: tuple[int, str] | None = None
    try:
        with open(MOUNTS, encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                _, place, kind, *_ = line.split(" ")
                is_above = path == place or path.startswith(place.rstrip("/") + "/")
                if is_above and (best is None or len(place) >= best[0]):
                    best = (len(place), kind)
    except (OSError, ValueError):
        return None
    return best and best[1]
