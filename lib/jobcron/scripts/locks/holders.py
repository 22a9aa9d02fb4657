"""Under which names runs have claimed jobs, kept in the file of their section's lock (N-15).

Whoever holds the lock knows that the runs that held it before are over, and takes their jobs over at once. A
name has a random part, so it is the name of one run only, whatever hosts are called. The names count only in the
file in which they were written, and until the machine starts again: whoever locks a copy of the file, or sees it
from another host over a network, need not have met its holder.

The first line of the file says who holds the lock, for people; the second one, which kernel and which file it
is; the others are the names, the latest one last.
"""

from __future__ import annotations

import os

BOOT_ID = "/proc/sys/kernel/random/boot_id"

MOST_NAMES = 80
"""The processes of a worker, and runs that ended before they could take over what earlier ones left.

If there are more, leases decide.
"""

MOST_BYTES = 16384

FAMILY_LENGTH = 12
"""How many characters of an id tell the worker; an id without them is not longer."""


def lock_file(directory: str, name: str) -> str:
    """Return the path of the file of a section's lock."""
    return os.path.join(directory, f"{name}.lock")


def new_name(process: int | None = None, family: str = "") -> str:
    """Return a name under which one run claims: ``host:pid/id``.

    Args:
        process: the number of the process that claims; by default this one.
        family: what the ids of a worker's processes begin with, see `new_family`.
    """
    return f"{os.uname().nodename}:{process or os.getpid()}/{family}{os.urandom(6).hex()}"


def new_family() -> str:
    """Return what the ids of one worker's processes begin with, and of nobody else."""
    return os.urandom(FAMILY_LENGTH // 2).hex()


def family_of(name: str) -> str | None:
    """Return the family in a name; None: it has none, as that of a run that no worker started."""
    _, slash, number = name.rpartition("/")
    return number[:FAMILY_LENGTH] if slash and len(number) > FAMILY_LENGTH else None


def read_names(descriptor: int) -> tuple[str, ...]:
    """Return the names of the runs that claimed under this lock; none if it is in doubt that it is this lock."""
    _, *lines = os.pread(descriptor, MOST_BYTES, 0).decode("utf-8", "replace").split("\n")[:-1] or [""]
    place = read_place(descriptor)
    return tuple(lines[1:]) if place is not None and lines[:1] == [place] else ()


def write_names(descriptor: int, holder: str, names: tuple[str, ...]) -> None:
    """Write who holds the lock, and the names of the runs that claimed under it.

    Raises:
        OSError: the disk is full, for example.
    """
    place = read_place(descriptor)
    lines = [holder] if place is None else [holder, place, *names[-MOST_NAMES:]]
    text = "".join(f"{line}\n" for line in lines).encode()
    os.pwrite(descriptor, text, 0)  # before it is cut: a process that is killed in between leaves the names
    os.ftruncate(descriptor, len(text))


def names_of_the_dead(path: str) -> tuple[str, ...]:
    """Return the names in the file of a lock that we do not hold, without those whose process seems to live."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        names = read_names(descriptor)
    except OSError:  # a directory, say: whoever takes the lock says so
        return ()
    finally:
        os.close(descriptor)
    return tuple(name for name in names if not os.path.exists(f"/proc/{_process(name)}"))


def _process(name: str) -> str:
    return name.rpartition("/")[0].rpartition(":")[2]


def read_place(descriptor: int) -> str | None:
    """Return which kernel and which file the lock is; None: this system does not say."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            boot = file.read().strip()
    except OSError:
        return None
    status = os.fstat(descriptor)
    return f"boot {boot}, file {status.st_dev}:{status.st_ino}"
