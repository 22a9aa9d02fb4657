"""What the figures were measured with: versions, cores, the disk."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import jobcron

SYNCS = 100
PAGE = b"\0" * 8192

FASTEST_DISK_US = 20.0
"""A sync that is faster is none: the folder is in memory."""


def describe(folder: Path, postgresql: str | None) -> dict[str, str]:
    """Return what to know of machine and versions, by name.

    Args:
        folder: where databases are made.
        postgresql: the server's version, or None where there was none.
    """
    micros = sync_microseconds(folder)
    doubt = " (no disk: commits are not durable here)" if micros < FASTEST_DISK_US else ""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "jobcron": jobcron.__version__,
        "Python": platform.python_version(),
        "SQLAlchemy": version("SQLAlchemy"),
        "psycopg2": version("psycopg2-binary"),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": postgresql or "not measured",
        "cores": str(len(os.sched_getaffinity(0))),
        "machine": f"{platform.system()} {platform.machine()}",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "8 KiB written and synced in": f"{micros:.0f} µs{doubt}",
    }


def sync_microseconds(folder: Path) -> float:
    """Return how long the disk takes to make 8 KiB durable, the median in µs."""
    path = folder / "sync"
    times = []
    with path.open("wb", buffering=0) as file:
        file.write(PAGE)
        for _ in range(SYNCS):
            begun = time.perf_counter()
            file.seek(0)
            file.write(PAGE)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    path.unlink()
    return median(times) * 1e6
