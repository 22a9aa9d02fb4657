"""P12: how soon a worker starts a job after its commit."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from bench.bars import AtMost
from bench.instance import write_instance
from bench.place import EMPTY, Place
from bench.race import Contender, Figures, Race
from bench.worker import JOBCRON, run, staying

POLL_SECONDS = 1.0
MOST_BEYOND_MS = 50.0
MOST_NOTIFIED_MS = 100.0

JOBS = 60
SECONDS_APART = 0.5


def waking_races(place: Place) -> Iterator[Callable[[], Race]]:
    """Return what makes the races on one database: with polling, and on PostgreSQL with notifications."""
    yield partial(_race, place, "worker that polls", False, POLL_SECONDS * 1000 + MOST_BEYOND_MS)
    if place.name == "PostgreSQL":
        yield partial(_race, place, "worker that is notified", True, MOST_NOTIFIED_MS)


def _race(place: Place, work: str, notify: bool, most: float) -> Race:
    contender = Contender("jobcron worker", partial(_measure, place, notify))
    return Race("P12", work, place.name, [contender], [AtMost("p99_ms", most)])


def _measure(place: Place, notify: bool) -> Figures:
    """Let a worker run, make jobs now and then, and return how long they waited."""
    with place.fresh(EMPTY) as fresh:
        config = write_instance(fresh.folder, fresh.url, more="notify: true" if notify else "")
        if notify:
            run([JOBCRON, "upgrade"], {"JOBCRON_CONFIG": str(config)})
        with running_worker(config):
            command = [sys.executable, "-m", "bench.wake_jobs", fresh.url, str(JOBS), str(SECONDS_APART)]
            waits = [seconds * 1000 for seconds in json.loads(run(command))]
    return {"p50_ms": median(waits), "p99_ms": quantiles(waits, n=100, method="inclusive")[98]}


@contextmanager
def running_worker(config: Path) -> Iterator[int]:
    """Run a worker inside the block, and yield the number of its process."""
    command = [JOBCRON, "worker", "--poll", f"{POLL_SECONDS:g}"]
    with staying(command, config / "worker.log", "The worker runs", {"JOBCRON_CONFIG": str(config)}) as pid:
        time.sleep(2 * POLL_SECONDS)  # it has looked, and run once what was due
        yield pid
