"""How much memory a job may take, and how much processes have."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def memory_limited(limit: int | None) -> Iterator[None]:
    """Let this process's data grow to `limit` bytes at most, inside the block: beyond that it meets MemoryError.

    What counts is RLIMIT_DATA, what a process may write to, and not RLIMIT_AS, which counts every library and
    file that is mapped besides, and so differs from machine to machine. It is lifted at the end of the block: what
    is said of a failure must find room.

    Args:
        limit: in bytes, that of the process itself included; None: none.
    """
    if limit is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def offer_to_the_kernel() -> None:
    """Let the kernel, when memory runs out, kill this process rather than the database beside it."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # Linux alone has it
        file.write("500")


def memory_of(processes: Iterable[int], beyond: float) -> int:
    """Return the bytes of data that processes have in memory; 0 where the kernel does not tell.

    As for `memory_limited`, files that are mapped do not count. Pages that several processes share are counted
    once, as shares (PSS); since that takes the kernel some time, it is asked only where the plain sum is more than
    `beyond`.
    """
    numbers = list(processes)
    total = sum(map(_data, numbers))
    if total <= beyond:
        return total
    return sum(map(_shares, numbers)) or total


def _data(process: int) -> int:
    with suppress(OSError, ValueError), open(f"/proc/{process}/statm", encoding="ascii") as file:
        _, resident, shared, *_ = map(int, file.read().split())
        return (resident - shared) * resource.getpagesize()
    return 0


def _shares(process: int) -> int:
    with (
        suppress(OSError, IndexError, ValueError),
        open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file,
    ):
        for line in file:
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
    return 0
