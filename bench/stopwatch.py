"""What a measured process tells of itself: work done, seconds, and CPU, without its start."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

FIGURES_FILE = "JOBCRON_BENCH_FIGURES"
"""The variable of the environment that names the file for the figures."""


def time_work(work: Callable[[], int]) -> None:
    """Do the work, and write how long it took to the file that the environment names.

    Args:
        work: returns how many jobs it did or made.
    """
    cpu, begun = time.process_time(), time.perf_counter()
    jobs = work()
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    text = json.dumps({"jobs": jobs, "seconds": seconds, "cpu_seconds": cpu_seconds})
    Path(os.environ[FIGURES_FILE]).write_text(text)
