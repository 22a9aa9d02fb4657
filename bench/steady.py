"""P12: several workers under a steady load; and many beside one.

Each worker is that of a host of its own: it has its own state directory, and so its own locks.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from bench.bars import AtMost, Bar, Multiple, Peers, Share
from bench.instance import write_instance
from bench.peers.contenders import STEADY
from bench.place import EMPTY, Fresh, Place
from bench.race import Contender, Figures, Race
from bench.waking import POLL_SECONDS, running_worker
from bench.worker import JOBCRON, run, staying

WORKERS = 4
JOBS_PER_SECOND = 100.0
STEADY_JOBS = 2000
MOST_CPU_MS = 4.0
MOST_NOTIFIED_MS = 100.0

MANY = 16
AT_ONCE = 2000


def steady_races(place: Place, *, has_peers: bool) -> Iterator[Callable[[], Race]]:
    """Return what makes the races, on PostgreSQL; on SQLite one job writes at a time."""
    if place.name == "PostgreSQL":
        yield lambda: steady_race(place, has_peers=has_peers)
        yield partial(_many, place)


def steady_race(place: Place, *, has_peers: bool) -> Race:
    """Return the race under a steady load.

    Args:
        place: PostgreSQL.
        has_peers: whether other queues take part.
    """
    work = f"{WORKERS} workers, {JOBS_PER_SECOND:g} jobs of 1 ms in a second"
    contenders = [Contender("jobcron worker", partial(_measure_steady, place))]
    beside: Bar = Peers("p99 of the wait: procrastinate's")
    if has_peers:
        contenders.append(Contender(STEADY.name, partial(_measure_peer, place), is_peer=True))
        beside = Multiple(STEADY.name, 1.0, "p99_ms")
    bars = [AtMost("cpu_ms", MOST_CPU_MS), AtMost("p99_ms", MOST_NOTIFIED_MS), beside]
    return Race("P12", work, place.name, contenders, bars)


def _many(place: Place) -> Race:
    one, many = "one worker", f"{MANY} workers"
    contenders = [
        Contender(many, partial(_measure_many, place, MANY)),
        Contender(one, partial(_measure_many, place, 1)),
    ]
    return Race("P12", f"{AT_ONCE} jobs of 1 ms at once", place.name, contenders, [Share(one, 1.0)])


def _measure_steady(place: Place) -> Figures:
    """Make jobs at a steady rate for our workers."""
    with place.fresh(EMPTY) as fresh, ExitStack() as stack:
        pids = _workers(fresh, WORKERS, stack)
        return steady_figures(pids, STEADY_JOBS, lambda: _load(fresh, STEADY_JOBS, JOBS_PER_SECOND))


def _measure_peer(place: Place) -> Figures:
    """Make jobs at the same rate for as many workers of the peer."""
    with place.fresh(EMPTY) as fresh, ExitStack() as stack:
        command, more = STEADY.command("prepare", fresh)
        run(command, more)
        command, more = STEADY.command("work", fresh)
        logs = [fresh.folder / f"worker{number}.log" for number in range(WORKERS)]
        pids = [stack.enter_context(staying(command, log, STEADY.says, more)) for log in logs]
        time.sleep(2 * POLL_SECONDS)  # as ours: they have looked
        command, more = STEADY.command("load", fresh, STEADY_JOBS, JOBS_PER_SECOND)
        return steady_figures(pids, STEADY_JOBS, lambda: Told(**json.loads(run(command, more))))


def steady_figures(pids: list[int], jobs: int, load: Callable[[], Told]) -> Figures:
    """Return what processes used of the CPU for each job, its own work included, and how long the jobs waited.

    The waits of the first second are left out: a worker of ours that had nothing to do has no process yet.

    Args:
        pids: the processes' numbers.
        jobs: how many the load makes.
        load: makes the jobs, and returns when all have ended.
    """
    before = sum(map(cpu_seconds, pids))
    told = load()
    cpu = sum(map(cpu_seconds, pids)) - before
    waits = [seconds * 1000 for seconds in told.waits[int(JOBS_PER_SECOND) :]]
    return {
        "cpu_ms": cpu / jobs * 1000,
        "p50_ms": median(waits),
        "p99_ms": quantiles(waits, n=100, method="inclusive")[98],
    }


def _measure_many(place: Place, workers: int) -> Figures:
    """Make many jobs at once, and return how many of them so many workers run in a second."""
    with place.fresh(EMPTY) as fresh, ExitStack() as stack:
        _workers(fresh, workers, stack)
        told = _load(fresh, AT_ONCE, 0.0)
    return {"per_second": AT_ONCE / told.seconds}


class Told(NamedTuple):
    """What `bench.steady_jobs` tells."""

    seconds: float
    waits: list[float]


def _load(fresh: Fresh, jobs: int, per_second: float) -> Told:
    command = [sys.executable, "-m", "bench.steady_jobs", fresh.url, str(jobs), str(per_second)]
    return Told(**json.loads(run(command)))


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


def cpu_seconds(pid: int) -> float:
    """Return the CPU that a process and its children have used, those that have ended as well."""
    folder = Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    children = (folder / f"task/{pid}/children").read_text().split()
    seconds = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    for child in children:
        with suppress(FileNotFoundError):  # it has just ended, and counts with its parent some time later
            seconds += cpu_seconds(int(child))
    return seconds
