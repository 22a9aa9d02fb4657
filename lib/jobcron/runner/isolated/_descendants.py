"""The processes that a child has started, wherever they have gone; Linux alone tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

MARK = "JOBCRON_ISOLATED"
"""The variable by which what a child has started is known: environments are inherited."""


class Process(NamedTuple):
    """A process, as the kernel describes it."""

    number: int
    state: str
    parent: int
    group: int
    started: int  # in ticks since the machine started


def started_by(leader: int, mark: str) -> list[int]:
    """Return the numbers of the processes that a child has started and that have not ended.

    They are those of its group, those whose environment has its mark, and those that one of them has started. A
    process with a session of its own, whose parent has ended, has nothing but the mark left of it: without that
    too, it is not found.

    Args:
        leader: the child's number, and its group's; it may have ended, but nobody has waited for it.
        mark: the child's, which no other has.
    """
    first = _process(leader)
    if first is None:
        return []
    # What is older is not the child's, and there is much of it: it is not looked into.
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
        # The name, in parentheses, may hold anything; see proc(5) for what comes after it.
        values = file.read().rpartition(")")[2].split()
        return Process(number, values[0], int(values[1]), int(values[2]), int(values[19]))
    return None


def _has_mark(number: int, mark: bytes) -> bool:
    with suppress(OSError), open(f"/proc/{number}/environ", "rb") as file:
        return mark in file.read()
    return False
