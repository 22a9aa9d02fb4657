"""Keep the folders of tests in memory: on a disk each commit of SQLite waits for the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT_VARIABLE = "PYTEST_DEBUG_TEMPROOT"
"""Names the folder in which pytest makes those of the tests."""

MEMORY = Path("/dev/shm")

MEMORY_BYTES = 4 << 30
"""Bytes that must be free in memory; pytest keeps the folders of tests that fail, and those of three sessions."""


def keep_folders_in_memory(config: pytest.Config) -> None:
    """Have pytest make its folders in memory, unless somebody said where, or there is no room.

    The workers of pytest-xdist are told where by the process that starts them.
    """
    if config.getoption("basetemp") is None and has_room(MEMORY, MEMORY_BYTES):
        os.environ.setdefault(ROOT_VARIABLE, str(MEMORY))


def has_room(folder: Path, needed: int) -> bool:
    """Return whether a file system is there for everybody, has so many bytes free, and can execute files."""
    try:
        found, mode = os.statvfs(folder), folder.stat().st_mode
    except OSError:
        return False
    is_for_all = mode & 0o1777 == 0o1777
    return is_for_all and not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize >= needed
