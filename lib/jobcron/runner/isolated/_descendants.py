"""Find the processes that a child has started, wherever they have gone; works on Linux only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

MARK = "JOBCRON_ISOLATED"
"""The environment variable that marks a child's processes: they inherit the environment."""
# why: decisions 2026-11-25, what an isolated job has started


class Process(NamedTuple):
    """A process, as the kernel describes it."""

    number: int
    state: str
    parent: int
    group: int
    started: int  # in ticks since boot


def started_by(leader: int, mark: str) -> list[int]:
    """Return the ids of the live processes that a child has started.

    These are the processes of its group, those with its mark in their environment, and their descendants. A
    process with a separate session whose parent has ended is known only by its mark: without it, it is not found.

    Args:
        leader: the id of the child and of its group. The child may have ended, but nobody has waited for it
            yet.
        mark: the child's unique mark.
    """
    first = _process(leader)
    if first is None:
        return []
    # An older process is not the child's, and there are many of them: they are skipped.
    younger = [
        process for process in _processes() if process.started >= first.started and process.number != leader
    ]
    found = {leader}
    for process in younger:
        if process.group == leader or _has_mark(process.number, mark.encode()):
            found.add(process.number)
    count = 0
    while count < len(found):
        count = len(found)
        found.update(process.number for process in younger if process.parent in found)
    return [process.number for process in younger if process.number in found and process.state != "Z"]


def _processes() -> Iterator[Process]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in filter(str.isdigit, names):
        if process := _process(int(name)):
            yield process


def _process(number: int) -> Process | None:
    with suppress(OSError, IndexError, ValueError), open(f"/proc/{number}/stat", encoding="latin-1") as file:
        # The name, in parentheses, may contain anything; see proc(5) for the fields after it.
        values = file.read().rpartition(")")[2].split()
        return Process(number, values[0], int(values[1]), int(values[2]), int(values[19]))
    return None


def _has_mark(number: int, mark: bytes) -> bool:
    with suppress(OSError), open(f"/proc/{number}/environ", "rb") as file:
        return mark in file.read()
    return False
