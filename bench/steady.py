"""P12: several workers under a steady load; and many beside one.

Each worker is that of a host of its own: it has its own state directory, and so its own locks.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from bench.bars import AtMost, Share
from bench.instance import write_instance
from bench.place import EMPTY, Fresh, Place
from bench.race import Contender, Figures, Race
from bench.waking import running_worker
from bench.worker import JOBCRON, run

WORKERS = 4
JOBS_PER_SECOND = 100.0
STEADY_JOBS = 2000
MOST_CPU_MS = 4.0
MOST_NOTIFIED_MS = 100.0

MANY = 16
AT_ONCE = 2000


def steady_races(place: Place) -> Iterator[Callable[[], Race]]:
    """Return what makes the races, on PostgreSQL; on SQLite one job writes at a time."""
    if place.name == "PostgreSQL":
        yield partial(_steady, place)
        yield partial(_many, place)


def _steady(place: Place) -> Race:
    work = f"{WORKERS} workers, {JOBS_PER_SECOND:g} jobs of 1 ms in a second"
    contender = Contender("jobcron worker", partial(_measure_steady, place))
    bars = [AtMost("cpu_ms", MOST_CPU_MS), AtMost("p99_ms", MOST_NOTIFIED_MS)]
    return Race("P12", work, place.name, [contender], bars)


def _many(place: Place) -> Race:
    one, many = "one worker", f"{MANY} workers"
    contenders = [
        Contender(many, partial(_measure_many, place, MANY)),
        Contender(one, partial(_measure_many, place, 1)),
    ]
    return Race("P12", f"{AT_ONCE} jobs of 1 ms at once", place.name, contenders, [Share(one, 1.0)])


def _measure_steady(place: Place) -> Figures:
    """Make jobs at a steady rate; return the workers' CPU for each job, its own included, and the waits."""
    with place.fresh(EMPTY) as fresh, ExitStack() as stack:
        pids = _workers(fresh, WORKERS, stack)
        before = sum(map(_cpu_seconds, pids))
        told = _load(fresh, STEADY_JOBS, JOBS_PER_SECOND)
        cpu = sum(map(_cpu_seconds, pids)) - before
    waits = [seconds * 1000 for seconds in told.waits]
    return {
        "cpu_ms": cpu / STEADY_JOBS * 1000,
        "p50_ms": median(waits),
        "p99_ms": quantiles(waits, n=100, method="inclusive")[98],
    }


def _measure_many(place: Place, workers: int) -> Figures:
    """Make many jobs at once, and return how many of them so many workers run in a second."""
    with place.fresh(EMPTY) as fresh, ExitStack() as stack:
        _workers(fresh, workers, stack)
        told = _load(fresh, AT_ONCE, 0.0)
    return {"per_second": AT_ONCE / told.seconds}


class _Told(NamedTuple):
    """What `bench.steady_jobs` tells."""

    seconds: float
    waits: list[float]


def _load(fresh: Fresh, jobs: int, per_second: float) -> _Told:
    command = [sys.executable, "-m", "bench.steady_jobs", fresh.url, str(jobs), str(per_second)]
    return _Told(**json.loads(run(command)))


def _workers(fresh: Fresh, count: int, stack: ExitStack) -> list[int]:
    """Run so many workers until the stack is left; return the numbers of their processes."""
    pids = []
    for number in range(count):
        folder = fresh.folder / f"host{number}"
        folder.mkdir()
        config = write_instance(folder, fresh.url, job="WorkJob", more="notify: true")
        if not number:
            run([JOBCRON, "upgrade"], {"JOBCRON_CONFIG": str(config)})
        pids.append(stack.enter_context(running_worker(config)))
    return pids


def _cpu_seconds(pid: int) -> float:
    """Return the CPU that a process and its children have used, those that have ended as well."""
    folder = Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    children = (folder / f"task/{pid}/children").read_text().split()
    seconds = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    for child in children:
        with suppress(FileNotFoundError):  # it has just ended, and counts with its parent some time later
            seconds += _cpu_seconds(int(child))
    return seconds
