"""Refuse configuration that others may write: it is trusted like code."""

from __future__ import annotations

import os
import stat

from jobcron.settings.directories import login_of, user_named


def distrust(path: str) -> str | None:
    """Return why a file cannot be trusted like code, and what to do; None if it can.

    It and its directory must belong to root, to the user who runs this, or to the owner of this package, whose
    code is running already. Nor may everybody be able to write the file, or to replace it or a directory on the
    way to it.

    Raises:
        OSError: the file does not exist.
    """
    # why: decisions 2026-11-25, a configuration belongs to root, to the user or to the owner
    trusted = {0, os.geteuid(), os.stat(os.path.dirname(os.path.abspath(__file__))).st_uid}
    named, real = os.path.abspath(path), os.path.realpath(path)
    for place in (real, os.path.dirname(real)):
        owner = os.stat(place).st_uid
        if owner not in trusted:
            return (
                "expected a file and a directory that belong to root or to the user who runs this, "
                f"{place} belongs to the user {user_named(owner)}: chown {login_of(os.geteuid())} {place}"
            )
    folders = {*_folders_of(named), *_folders_of(real)}
    for place in (real, *sorted(folders, key=len, reverse=True)):
        mode = os.stat(place).st_mode
        if mode & stat.S_IWOTH and not (place in folders and mode & stat.S_ISVTX):
            return (
                "expected a file and a directory that not everybody may write, "
                f"got one that everybody may write: chmod o-w {place}"
            )
    return None


def _folders_of(path: str) -> list[str]:
    found = [path]
    while (folder := os.path.dirname(found[-1])) != found[-1]:
        found.append(folder)
    return found[1:]


def _is_ours(status: os.stat_result, forbidden: int) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & forbidden
