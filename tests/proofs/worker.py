"""A worker of the storm: runs the sections in turn, again and again, as cron would, until a file ends it.

    worker.py INSTANCE STOP-FILE RESOURCES-FILE [SECTION …]

It notes its descriptors, memory and threads now and then, for invariant I11.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

from jobcron import JobCronScript

PAUSE_SECONDS = 0.05

SECTIONS = ("work", "grouped", "functions", "work", "grouped", "steps", "fresh_steps")


def main(instance: str, stop: str, resources: str, *sections: str) -> None:
    """Run until the stop file is there; whatever a run leaves with, cron would start the next one."""
    os.environ["JOBCRON_CONFIG"] = instance
    sections = sections or SECTIONS
    rounds = 0
    while not Path(stop).exists():
        sys.argv = ["jobcron run", sections[rounds % len(sections)], "-q"]
        script = JobCronScript(commandline_config=True)
        try:
            script.lock_and_run()
        except SystemExit as leaving:
            if leaving.code not in (0, 1, 3):
                raise
        for handler in list(logging.getLogger().handlers):
            logging.getLogger().removeHandler(handler)
        rounds += 1
        if rounds % 10 == 0:
            note_resources(resources)
        time.sleep(PAUSE_SECONDS)


def note_resources(path: str) -> None:
    """Append ``process descriptors kilobytes threads``."""
    with open("/proc/self/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    memory, threads = status["VmRSS"].split()[0], status["Threads"].strip()
    line = f"{os.getpid()} {len(os.listdir('/proc/self/fd'))} {memory} {threads}\n"
    with open(path, "a", encoding="ascii") as file:
        file.write(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
