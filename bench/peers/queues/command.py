"""The command line of each queue: ``prepare|drain|share|create URL JOBS SETTING``."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench.stopwatch import time_work

ran = [0]
"""How many jobs have run in this process."""


def ran_one() -> None:
    """Count a job that has run: all that a job does."""
    ran[0] += 1


def perform(
    prepare: Callable[[str, int], None],
    drain: Callable[[str, int, int], None],
    create: Callable[[str, int], None] | None = None,
) -> None:
    """Do what the command line says, with a stopwatch but for ``prepare``.

    Args:
        prepare: given a URL and a number: makes the tables, and so many jobs.
        drain: given a URL, a number and the setting: runs so many jobs, all that there are; or, beside another
            process ("share"), until nothing is left.
        create: given a URL and a number: makes so many jobs at once; the tables are there.
    """
    what, url, jobs, setting = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if what == "prepare":
        prepare(url, jobs)
    elif what in ("drain", "share"):

        def work() -> int:
            drain(url, jobs, setting)
            return ran[0]

        time_work(work)
    else:
        assert create is not None

        def make() -> int:
            create(url, jobs)
            return jobs

        time_work(make)
