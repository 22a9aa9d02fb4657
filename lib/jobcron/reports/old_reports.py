"""Remove old OOPS reports, which are files: a folder per day, a file per report (LP-31)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from contextlib import suppress
from datetime import date

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_REPORT = re.compile(r"\.?OOPS-.*")  # with a dot: a report that was being written when its process died

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def prune_reports(root: str, before: date, kept: Collection[str], dry_run: bool = False) -> int:
    """Remove the reports of the days before `before`, and empty folders; return the number of files.

    No symbolic link is followed, and only files with a report's name are removed.

    Args:
        root: the directory of reports.
        before: the first day whose reports stay.
        kept: ids of reports that stay, whatever their day.
        dry_run: only count.

    Raises:
        OSError: the directory cannot be read; if it does not exist, there are no reports.
    """
    try:
        top = os.open(root, FOLDER)
    except FileNotFoundError:
        return 0
    try:
        days = [day for day in os.listdir(top) if _DAY.fullmatch(day) and _is_before(day, before)]
        return sum(_prune_day(top, day, kept, dry_run) for day in sorted(days))
    finally:
        os.close(top)


def _is_before(day: str, before: date) -> bool:
    try:
        return date.fromisoformat(day) < before
    except ValueError:
        return False


def _prune_day(top: int, day: str, kept: Collection[str], dry_run: bool) -> int:
    try:
        folder = os.open(day, FOLDER, dir_fd=top)
    except NotADirectoryError:  # a file or link of that name: not ours
        return 0
    try:
        old = [name for name in os.listdir(folder) if _REPORT.fullmatch(name) and name not in kept]
        old = [name for name in old if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)]
        for name in old if not dry_run else ():
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)
    if not dry_run:
        with suppress(OSError):  # it is not empty
            os.rmdir(day, dir_fd=top)
    return len(old)
