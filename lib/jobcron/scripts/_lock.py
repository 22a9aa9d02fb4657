"""One run at a time per section, on this host (LP-18).

The kernel's lock ends with its process, however that ends. The file stays, and is not a lock by itself. It is
never removed: between unlink and unlock, two processes could each hold "the" lock. Leases keep the runners of
other hosts apart.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress

from jobcron.errors import ConfigurationError, DirectoryError, LockHeld
from jobcron.settings.directories import private_directory
from jobcron.settings.settings import SECTION_NAME


class RunLock:
    """The lock of one section.

    Args:
        directory: the directory of all locks; made if necessary.
        name: the section's name.
        what: a description of the directory, for messages.

    Raises:
        ConfigurationError: the name cannot be part of a path.
    """

    def __init__(self, directory: str, name: str, what: str = "the lock directory") -> None:
        if not SECTION_NAME.fullmatch(name):
            raise ConfigurationError(
                "expected a lock to be named by a letter, then letters, digits, _ and -, 64 at most, "
                f"got {name!r}; a script takes the name of its program, or the one that it is given"
            )
        self.directory = directory
        self.what = what
        self.path = os.path.join(directory, f"{name}.lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, and record its holder in the file, which also marks the time of the run.

        Raises:
            LockHeld: another process has it.
            DirectoryError: the file cannot be used.
        """
        private_directory(self.directory, self.what)
        while True:
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
                os.close(descriptor)
                raise LockHeld(
                    f"the lock {self.path} is held by {holder or 'a process that has not said who it is'}"
                ) from None
            if self._is_the_file(descriptor):
                break
            os.close(descriptor)  # somebody removed the file by hand: our lock is not the lock
        self._descriptor = descriptor
        # A forked child would share the lock and could outlive us.
        os.register_at_fork(after_in_child=self.release)
        who = f"process {os.getpid()} on {os.uname().nodename} since {time.strftime('%FT%TZ', time.gmtime())}\n"
        with suppress(OSError):  # a full disk: the lock holds all the same, without its holder's name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, who.encode(), 0)

    def release(self) -> None:
        """Release the lock; the file stays."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self.path, flags, 0o600)
        except OSError as error:
            raise DirectoryError(
                f"expected the lock file {self.path} to be a file that can be opened, got: {error.strerror}"
            ) from error

    def _is_the_file(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self.path))
        except FileNotFoundError:
            return False
