"""Where a measured process spends its time, by function."""

from __future__ import annotations

import cProfile
import os
import pstats
from collections.abc import Callable
from pathlib import Path

PROFILE_FILE = "JOBCRON_BENCH_PROFILE"
"""The variable of the environment that names the file for the profile."""

TOP_FUNCTIONS = 45


def profiled(work: Callable[[], int]) -> None:
    """Do the work under cProfile, and write the top functions to the file that the environment names.

    The profiler slows Python code down, and database drivers hardly: shares lean towards Python.

    Args:
        work: returns how many jobs it did or made.
    """
    profile = cProfile.Profile()
    jobs = profile.runcall(work)
    path = Path(os.environ[PROFILE_FILE])
    with path.open("w", encoding="utf-8") as file:
        print(f"{jobs} jobs, under cProfile. First by own time, then with what a function calls.", file=file)
        stats = pstats.Stats(profile, stream=file).strip_dirs()
        for order in ("tottime", "cumulative"):
            stats.sort_stats(order).print_stats(TOP_FUNCTIONS)
