"""P12: how soon a worker starts a job after its commit."""

from __future__ import annotations

import json
import signal
import subprocess
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
from bench.worker import JOBCRON, WorkerFailed, environment, run

POLL_SECONDS = 1.0
MOST_BEYOND_MS = 50.0
MOST_NOTIFIED_MS = 100.0

JOBS = 60
SECONDS_APART = 0.5

BEGIN_SECONDS = 60.0


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
    log = config / "worker.log"
    command = [JOBCRON, "worker", "--poll", f"{POLL_SECONDS:g}"]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, env=environment({"JOBCRON_CONFIG": str(config)}), stderr=stderr)
    try:
        end = time.monotonic() + BEGIN_SECONDS
        while "The worker runs" not in log.read_text():
            if time.monotonic() > end or process.poll() is not None:
                raise WorkerFailed(f"the worker did not begin:\n{log.read_text()}")
            time.sleep(0.1)
        time.sleep(2 * POLL_SECONDS)  # it has looked, and run once what was due
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(BEGIN_SECONDS)
