"""The CPU of processes that are not our own, as Linux tells it."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Fields of /proc/PID/stat after the name: the parent; user and system time, then those of children that ended.
_PARENT, _TIMES = 1, slice(11, 15)


def cpu_seconds_of_tree(root: int) -> float | None:
    """Return the CPU seconds of a process and all below it, of those that have ended as well.

    Returns:
        None where there is no /proc.
    """
    fields = _all_fields()
    if root not in fields:
        return None
    children: dict[int, list[int]] = {}
    for pid, values in fields.items():
        children.setdefault(int(values[_PARENT]), []).append(pid)
    ticks, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        ticks += sum(map(int, fields[pid][_TIMES]))
        waiting += children.get(pid, [])
    return ticks / TICKS_PER_SECOND


def _all_fields() -> dict[int, list[str]]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text()
        except OSError:  # it has ended meanwhile
            continue
        found[int(folder.name)] = text.rpartition(")")[2].split()
    return found
