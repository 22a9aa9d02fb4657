"""Starts a command some times, one after the other, and prints what each cost, as JSON.

``launch.py TIMES COMMAND …`` is a process of its own, and as small as Python can be: the kernel counts the memory
of whoever starts a process into the most that the new one used.
"""

import json
import os
import sys
import time


def launched(command: list[str]) -> tuple[float, float, float]:
    """Run a command, and return wall seconds, CPU seconds, and the most memory that it used, in KiB."""
    begun = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begun
    if status != 0:
        sys.exit(f"expected the command to leave with status 0, it left with {os.waitstatus_to_exitcode(status)}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


if __name__ == "__main__":
    print(json.dumps([launched(sys.argv[2:]) for _ in range(int(sys.argv[1]))]))
