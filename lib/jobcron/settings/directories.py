"""Directories and files for this user alone: state, locks, reports.

In a directory that others may write, predictable names invite an old attack: a symbolic link in the place of a
lock or report file. So these directories belong to the user, and others may not write there.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress


def login_of(number: int) -> str:
    """Return a user as commands take it: the name, or the number if there is no name."""
    import pwd  # only for a mistake: a tick has none

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def user_named(number: int) -> str:
    """Return a user as people know it, for messages: the name, or the number if there is no name."""
    name = login_of(number)
    return f"with the number {name}" if name == str(number) else name


def _expected(what: str) -> str:
    """Return how a message begins about a directory, which a place in a configuration may name."""
    place, colon, noun = what.rpartition(": ")
    return f"{place}{colon}expected {noun}"


def private_directory(path: str | os.PathLike[str], what: str, *, is_shared: bool = False) -> None:
    """Create `path` if necessary, with mode 0700, and check it.

    Args:
        path: the directory.
        what: what it is, for the message, perhaps after the place that names it and a colon.
        is_shared: whether its group may write there, as into a folder of logs, in which no name is trusted.

    Raises:
        DirectoryError: it cannot be created or written, belongs to another user, or others may write there.
    """
    from jobcron.errors import DirectoryError

    try:
        _make(os.fspath(path))
        status, link = os.stat(path), os.lstat(path)
    except OSError as error:
        raise DirectoryError(
            f"{_expected(what)} {path} to be a directory that can be made and written, got: {error.strerror}"
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise DirectoryError(f"{_expected(what)} {path} to be a directory, it is something else")
    if stat.S_ISLNK(link.st_mode) and link.st_uid != os.geteuid():
        raise DirectoryError(
            f"{_expected(what)} {path} not to be somebody else's link, it belongs to the user "
            f"{user_named(link.st_uid)}"
        )
    if status.st_uid != os.geteuid():
        raise DirectoryError(
            f"{_expected(what)} {path} to belong to the user {user_named(os.geteuid())}, who runs this, it "
            f"belongs to the user {user_named(status.st_uid)}: run this as that user, or name another directory"
        )
    if status.st_mode & stat.S_IWOTH:
        raise DirectoryError(
            f"{_expected(what)} {path} to be closed to others, everybody may write there: chmod o-w {path}"
        )
    if status.st_mode & stat.S_IWGRP and not is_shared:
        raise DirectoryError(
            f"{_expected(what)} {path} to be closed to others, its group may write there: chmod g-w {path}"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise DirectoryError(f"{_expected(what)} {path} to be writable, it is not")


def check_shared_directory(path: str | os.PathLike[str], what: str) -> None:
    """Check a directory of another user into which we put files whose names others know.

    If everybody may write there, it must be sticky: then nobody can replace one of our files.

    Args:
        path: the directory; it is not created.
        what: as for `private_directory`.

    Raises:
        DirectoryError: it does not exist, cannot be written, or everybody may replace files there.
    """
    from jobcron.errors import DirectoryError

    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DirectoryError(f"{_expected(what)} {path} to be there, got: {reason}") from error
    if not stat.S_ISDIR(mode):
        raise DirectoryError(f"{_expected(what)} {path} to be a directory, it is something else")
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise DirectoryError(
            f"{_expected(what)} {path} not to be one where everybody may replace files: chmod o-w {path}, or "
            f"chmod +t {path}"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise DirectoryError(f"{_expected(what)} {path} to be writable, it is not")


def open_log(path: str, what: str) -> int:
    """Open a log file for appending, and return its descriptor.

    Args:
        path: the file; its folder is created if necessary, for this user alone.
        what: the option that names it, for messages.

    Raises:
        DirectoryError: it cannot be opened.
    """
    from jobcron.errors import DirectoryError

    private_directory(os.path.dirname(path), f"{what}: the folder")
    try:
        return append_to(path)
    except OSError as error:
        raise DirectoryError(
            f"{what}: expected {path} to be a file that can be written, got: {error.strerror}"
        ) from error


def append_to(path: str) -> int:
    """Open a file for appending, without following a link, and return its descriptor.

    Raises:
        OSError: it cannot be opened.
    """
    # O_NONBLOCK: a pipe that nobody reads is an error, not an endless wait.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    return os.open(path, flags, 0o600)


def write_whole(
    path: str | os.PathLike[str],
    content: bytes,
    *,
    replaces: bool = True,
    is_synced: bool = True,
    mode: int = 0o600,
    modified: float | None = None,
) -> None:
    """Write a whole file or nothing: first beside its place, under a name that nobody can guess.

    Args:
        path: the file; its folder exists.
        content: all of it.
        replaces: whether to replace an existing file; otherwise that one stays as it is.
        is_synced: whether it must survive a crash of the machine.
        mode: who may read and write it.
        modified: the file's time, in seconds since 1970; None: now.

    Raises:
        OSError: it cannot be written; no part of it is left.
    """
    folder, name = os.path.split(os.fspath(path))
    temporary = os.path.join(folder, f".{name[:50]}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
            if modified is not None:
                os.utime(descriptor, (modified, modified))
            if is_synced:
                os.fsync(descriptor)
        if replaces:
            os.rename(temporary, path)
        else:
            with suppress(FileExistsError):
                os.link(temporary, path)
    finally:
        with suppress(OSError):  # after a rename it is gone
            os.unlink(temporary)
    if is_synced:
        sync_folder(folder)


def read_own(path: str | os.PathLike[str], at_most: int = -1) -> tuple[bytes, os.stat_result] | None:
    """Return the content and status of one of this user's files; None for another user's, or no file.

    Args:
        path: the file; a symbolic link is not followed.
        at_most: the largest number of bytes to read; -1: all.

    Raises:
        OSError: it does not exist, is a link, or cannot be read.
    """
    # O_NONBLOCK: a pipe that nobody writes to is not an endless wait.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return None
        return file.read(at_most), status


def _make(path: str) -> None:
    """Create a directory and its parents so that they survive a crash; unlike `os.makedirs`, all mode 0700."""
    if not os.path.isdir(path):
        folder = os.path.dirname(path) or "."
        _make(folder)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        with suppress(OSError):  # it may be writable and not readable
            sync_folder(folder)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Make the names in a folder survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
