"""Starts a command some times, one after the other, and prints what each cost, as JSON.

``launch.py TIMES STATUS COMMAND …``, with the status that the command should have, is a process of its own, and as
small as Python can be: the kernel counts the memory of whoever starts a process into the most that the new one
used.
"""

import json
import os
import sys
import time


def launched(command: list[str], expected: int) -> tuple[float, float, float]:
    """Run a command, and return wall seconds, CPU seconds, and the most memory that it used, in KiB."""
    begun = time.perf_counter()
    unread = (1, 2) if expected else (1,)
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in unread]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=silent)
    _, ended, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begun
    status = os.waitstatus_to_exitcode(ended)
    if status != expected:
        sys.exit(f"expected the command to leave with status {expected}, it left with {status}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


if __name__ == "__main__":
    times, wanted = int(sys.argv[1]), int(sys.argv[2])
    print(json.dumps([launched(sys.argv[3:], wanted) for _ in range(times)]))
