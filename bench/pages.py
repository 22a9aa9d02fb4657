"""Measure the dashboard in a database with millions of jobs: ``python -m bench.pages --rows 1000000``.

The rows are those of `bench.large`. Each page is asked for in this process, by an operator; the time is that of
the server, from the request to the whole answer, the best of some rounds. A page over the bar is shown with the
plan of its slowest statement.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from flask.testing import FlaskClient

from bench import TOP
from bench.driver_time import DriverTime, Timed
from bench.large import CONFIGURATION, explained, postgresql, sqlite
from bench.large_rows import make
from jobcron import Database
from jobcron.testing.programs import ServerNotFound
from jobcron.testing.server import ServerFailed
from jobcron.web import application
from jobcron.web.mounting import close

BAR_SECONDS = 0.2
ROUNDS = 5

PAGES = (
    "/",
    "/?window=hour",
    "/?window=week",
    "/jobs",
    "/jobs?status=waiting",
    "/jobs?status=running",
    "/jobs?status=failed",
    "/jobs?status=ended",
    "/jobs?status=pending",
    "/jobs?section=common",
    "/jobs?section=rare&status=failed",
    "/jobs?type=bench.LargeJobType.RARE",
    "/jobs?queue=mail",
    "/jobs?queue=nothing",
    "/jobs?channel=root",
    "/jobs?requester=ann",
    "/jobs?error=nothing-like-it",
    "/jobs?oops=OOPS-NONE",
    "/jobs?argument=n%3D2",
    "/jobs?created_on=2000-01-01",
    "/jobs?older_than=29d",
    "/jobs?ended_within=1h",
    "/jobs?due_within=0s",
    "/jobs?due_after=23h",
    "/jobs?unique_key=none",
    "/jobs?below={middle}",
    "/jobs?order=oldest",
    "/jobs?order=oldest&queue=nothing",
    "/jobs?order=start&status=waiting",
    "/jobs?order=start&status=waiting&queue=nothing",
    "/jobs?group=type",
    "/jobs?group=section",
    "/jobs?group=queue",
    "/jobs?group=requester",
    "/jobs?group=day",
    "/jobs?group=error",
    "/jobs/{middle}",
    "/jobs/{last}",
    "/search?q=ValueError",
    "/sections",
    "/sections/common",
    "/sections/common?window=week",
    "/sections/rare",
    "/schedules",
    "/channels",
    "/runners",
    "/reports",
    "/doctor",
    "/audit",
    "/new",
    "/new?name=bench.LargeJobType.COMMON",
)


class Measured(NamedTuple):
    """A page, as it was answered.

    Attributes:
        path: its path.
        seconds: the best of some rounds.
        processor: how many of these a processor was this process's, and SQLite's, in the best of them.
        in_database: how many of these the driver took.
        slowest: the slowest statement, see `DriverTime`.
    """

    path: str
    seconds: float
    processor: float
    in_database: float
    slowest: Timed


def measure(client: FlaskClient, rows: int) -> Iterator[Measured]:
    """Ask for each page some times, and yield the best; once more, to know what the database takes."""
    for path in PAGES:
        path = path.format(middle=rows // 2, last=rows)
        rounds = [_asked(client, path) for _ in range(ROUNDS)]
        seconds, processor = (min(one[place] for one in rounds) for place in (0, 1))
        with DriverTime() as times:
            _asked(client, path)
        yield Measured(path, seconds, processor, times.seconds, times.slowest)


def _asked(client: FlaskClient, path: str) -> tuple[float, float]:
    """Ask for a page, and return how many seconds it took, and how many of these a processor was ours."""
    began, worked = time.perf_counter(), time.process_time()
    answer = client.get(path, follow_redirects=True)
    answer.get_data()
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    if answer.status_code != 200:
        raise SystemExit(f"bench: {path}: {answer.status}")
    return seconds, processor


def run(name: str, rows: int, tell: Callable[[str], None]) -> bool:
    """Measure all pages on one database, print a table, and return whether each keeps the bar."""
    with tempfile.TemporaryDirectory(prefix="bench-pages-") as temporary:
        folder = Path(temporary)
        with sqlite(folder) if name == "SQLite" else postgresql(folder) as url:
            (folder / "jobcron.conf").write_text(CONFIGURATION.format(url=url, top=TOP, folder=folder))
            database = Database(url)
            make(database, rows)
            print(f"\n{name}, {rows:,} jobs, load {os.getloadavg()[0]:.1f}\n")
            print("| page | ms | of processor | in the database |\n| --- | ---: | ---: | ---: |")
            try:
                return _table(str(folder), database, rows, tell)
            finally:
                database.close()


def _table(config: str, database: Database, rows: int, tell: Callable[[str], None]) -> bool:
    app = application(config, authorize=lambda environ: "operator")
    is_kept = True
    client = app.test_client()
    client.get("/")  # imports the application
    for found in measure(client, rows):
        figures = (found.seconds, found.processor, found.in_database)
        print(f"| `{found.path}` |", " | ".join(f"{one * 1000:.0f}" for one in figures), "|", flush=True)
        if found.seconds > BAR_SECONDS:
            is_kept = False
            tell(explained(database, found.path, found.seconds, found.slowest))
    close(app)
    return is_kept


def main() -> int:
    """Do what the command line says; the exit status is 1 if a page misses the bar."""
    parser = argparse.ArgumentParser(prog="bench.pages", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="jobs (default: 1000000)")
    parser.add_argument("--only", choices=("SQLite", "PostgreSQL"), help="one database")
    options = parser.parse_args()
    if options.rows < 1000:
        parser.error(f"expected at least 1000 rows, got: {options.rows}")
    names = [options.only] if options.only else ["SQLite", "PostgreSQL"]
    try:
        kept = [run(name, options.rows, lambda text: print(text, file=sys.stderr, flush=True)) for name in names]
    except (ServerFailed, ServerNotFound) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
