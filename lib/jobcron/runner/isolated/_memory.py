"""Limit the memory of a job, and measure the memory of processes."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress


# why: decisions 2026-11-24, memory is bounded by RLIMIT_DATA
@contextmanager
def memory_limited(limit: int | None) -> Iterator[None]:
    """Limit this process's data to `limit` bytes inside the block: beyond that it gets MemoryError.

    This uses RLIMIT_DATA, which counts what a process may write to. RLIMIT_AS would also count every mapped
    library and file, and so would differ from machine to machine. The limit is lifted at the end of the block:
    the report of a failure needs memory.

    Args:
        limit: in bytes, including the process itself; None: no limit.
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
    """Ask the kernel, when memory runs out, to kill this process rather than the database beside it."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # Linux only
        file.write("500")


def memory_of(processes: Iterable[int], beyond: float) -> int:
    """Return the bytes of data that processes have in memory; 0 if the kernel does not say.

    As for `memory_limited`, mapped files do not count. Pages that several processes share are counted once, as
    shares (PSS). Since this is slow, it is done only if the plain sum is more than `beyond`.
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
