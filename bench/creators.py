"""P11, creators on SQLite: ``python -m bench.creators``: they create jobs beside each other and beside a worker.

Each process handles requests as a web application does: each request reads, creates a job and commits. A request
that raises any error has failed, and is not repeated. Meanwhile `jobcron worker` runs the jobs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from sqlalchemy import text

from bench import TARGET_ID, TOP
from bench.application import Foo, NoOpJob, make_tables
from bench.instance import write_instance
from bench.race import WorkerFailed
from bench.waking import running_worker
from bench.worker import environment
from jobcron import Database

BAR_SECONDS = 1.0
"""What the 99th percentile of all requests is to stay below."""

ROLE = "--handle"


def handle(url: str, requests: int) -> None:
    """Handle so many requests, and print the errors and how long each request took, in seconds, as JSON."""
    database = Database(url)
    errors, seconds = [], []
    for _ in range(requests):
        began = time.perf_counter()
        try:
            with database.session() as session:
                NoOpJob.create(session.get_one(Foo, TARGET_ID))
                session.commit()
        except Exception as error:  # whatever it was, the request has failed
            errors.append(f"{type(error).__name__}: {error}")
        seconds.append(time.perf_counter() - began)
    database.close()
    print(json.dumps({"errors": errors, "seconds": seconds}))


def handle_by_processes(url: str, requests: int, processes: int) -> tuple[list[str], list[float]]:
    """Let processes handle the requests beside each other; return the errors, and how long each request took.

    Raises:
        WorkerFailed: a process ended otherwise than by telling.
    """
    shares = [requests // processes + (number < requests % processes) for number in range(processes)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.creators", ROLE, url, str(share)],
            cwd=TOP, env=environment(), stdout=subprocess.PIPE, text=True,
        )
        for share in shares
    ]  # fmt: skip
    told = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise WorkerFailed(f"expected the creators to leave with 0, got {[one.returncode for one in running]}")
    found = [json.loads(one) for one in told]
    return [e for one in found for e in one["errors"]], [s for one in found for s in one["seconds"]]


def measure(requests: int, processes: int) -> bool:
    """Measure, print what was found, and return whether nothing failed and the bar is met."""
    with tempfile.TemporaryDirectory(prefix="bench-creators-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/creators.db"
        database = Database(url)
        make_tables(database)
        with running_worker(write_instance(folder, url)):
            began = time.monotonic()
            errors, seconds = handle_by_processes(url, requests, processes)
            took = time.monotonic() - began
        with database.begin(writing=False) as connection:
            made, done = connection.execute(
                text("SELECT count(*), sum(CASE WHEN status = 2 THEN 1 ELSE 0 END) FROM jobcron_job")
            ).one()
        database.close()
    p99 = quantiles(seconds, n=100)[98]
    print(f"P11: {requests:,} requests by {processes} processes in {took:.0f} s, load {os.getloadavg()[0]:.1f}")
    print(f"{len(errors)} failed; {made:,} jobs were created, and {done or 0:,} of them run meanwhile")
    print(
        f"a request: median {median(seconds) * 1000:.1f} ms, p99 {p99 * 1000:.0f} ms, {max(seconds):.2f} s at most"
    )
    for error in sorted(set(errors))[:5]:
        print(f"  {error}")
    return not errors and made == requests and p99 < BAR_SECONDS


def main() -> int:
    """Do what the command line says; the exit status is 1 if a request failed or the bar is missed."""
    if sys.argv[1:2] == [ROLE]:
        handle(sys.argv[2], int(sys.argv[3]))
        return 0
    parser = argparse.ArgumentParser(prog="bench.creators", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help="in all (default: 10000)")
    parser.add_argument("--processes", type=int, default=4, metavar="N", help="beside each other (default: 4)")
    options = parser.parse_args()
    if options.processes < 1 or options.requests < 2 * options.processes:
        parser.error(f"expected two requests for each process, got: {options.requests}, {options.processes}")
    try:
        return 0 if measure(options.requests, options.processes) else 1
    except WorkerFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
