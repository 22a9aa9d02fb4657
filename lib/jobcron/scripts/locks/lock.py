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
from jobcron.scripts.locks.holders import MOST_NAMES, lock_file, new_name, read_names, write_names
from jobcron.settings.directories import private_directory
from jobcron.settings.settings import SECTION_NAME

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobcron.jobs.lease import SectionLease, Trouble


class RunLock:
    """The lock of one section.

    Args:
        directory: the directory of all locks; made if necessary.
        name: the section's name.
        what: a description of the directory, for messages.

    Raises:
        ConfigurationError: the name cannot be part of a path.

    Attributes:
        gone: the names of earlier runs, which are over. `acquire` sets them, and `died` adds to them.
        descriptor: the open file, or None.
        lease, trouble: see `SectionLock`; this lock is the host's alone.
    """

    lease: SectionLease | None = None
    trouble: Trouble | None = None

    def __init__(self, directory: str, name: str, what: str = "the lock directory") -> None:
        if not SECTION_NAME.fullmatch(name):
            raise ConfigurationError(
                "expected a lock to be named by a letter, then letters, digits, _ and -, 64 at most, "
                f"got {name!r}; a script takes the name of its program, or the one that it is given"
            )
        self.directory = directory
        self.what = what
        self.path = lock_file(directory, name)
        self.descriptor: int | None = None
        self.gone: tuple[str, ...] = ()
        self._names: list[str] = []
        self._who = ""

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
                holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").partition("\n")[0].strip()
                os.close(descriptor)
                raise LockHeld(
                    f"the lock {self.path} is held by {holder or 'a process that has not said who it is'}"
                ) from None
            if self._is_the_file(descriptor):
                break
            os.close(descriptor)  # somebody removed the file by hand: our lock is not the lock
        self.descriptor = descriptor
        _held.add(self)
        self._who = (
            f"process {os.getpid()} on {os.uname().nodename} since {time.strftime('%FT%TZ', time.gmtime())}"
        )
        self.gone = read_names(descriptor)
        with suppress(OSError):  # a full disk: the lock holds all the same, without its holder's name
            write_names(descriptor, self._who, self.gone)

    def claims(self, process: int | None = None, family: str = "") -> str | None:
        """Return a name to claim jobs under, and note it: whoever gets the lock next may take them over at once.

        None: nothing can be noted, so the jobs' leases decide.

        Args:
            process: the number of the process that claims; by default this one. A worker takes a name for each of
                its processes.
            family: see `new_name`.
        """
        if self.descriptor is None:
            return None
        name = new_name(process, family)
        try:
            self._note([*self._names, name])
        except OSError:  # a full disk
            return None
        self._names.append(name)
        return name

    def ended(self, name: str) -> None:
        """Forget the name of a process that has come to its end: it has left no job behind."""
        if name in self._names:
            self._names.remove(name)
            with suppress(OSError):  # the next holder finds no job of that name
                self._note(self._names)

    def died(self, name: str) -> None:
        """Count the name of a process that was killed among those that are gone."""
        if name in self._names:
            self._names.remove(name)
            self.gone = (*self.gone, name)[-MOST_NAMES:]
            with suppress(OSError):  # it is among the names in any case
                self._note(self._names)

    def share(self) -> int | None:
        """Return one more descriptor of the lock, for a forked process: it holds the lock as well.

        `release` ends the lock for all of them.
        """
        return None if self.descriptor is None else os.dup(self.descriptor)

    def release(self) -> None:
        """Release the lock, also for processes that have inherited it; the file stays.

        A run that comes to its end has not died with a job: what it could not give back, because the database was
        away, waits for its lease, and no death is counted.
        """
        if self.descriptor is not None:
            if self._names:
                self._names.clear()
                with suppress(OSError):  # a job has closed it
                    self._note(())
            with suppress(OSError):  # a job has closed it
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        self._close()

    def _note(self, names: Sequence[str]) -> None:
        assert self.descriptor is not None
        write_names(self.descriptor, self._who, (*self.gone, *names))

    def _close(self) -> None:
        _held.discard(self)
        descriptor, self.descriptor = self.descriptor, None
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


_held: set[RunLock] = set()


def _close_in_fork() -> None:
    """Close the locks in a forked process, which would share them and could outlive us; see `RunLock.share`."""
    for lock in list(_held):
        lock._close()


os.register_at_fork(after_in_child=_close_in_fork)  # once: a registered function cannot be removed
