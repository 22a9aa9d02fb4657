"""Measure the dashboard in a database with millions of jobs: ``python -m bench.pages --rows 1000000``.

The rows are those of `bench.large`, with those of `bench.large_more`; ``--url`` names a database in which
`bench.large_rows` has made them. Each page is asked for in this process, by an operator; the time is that of the
server, from the request to the whole answer, the best of some rounds. A page over the bar is shown with the plan
of its slowest statement.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from flask.testing import FlaskClient

from bench import TOP
from bench.both import add_only, status_of, tell
from bench.driver_time import DriverTime, Timed
from bench.large import CONFIGURATION, explained, postgresql, sqlite
from bench.large_more import ANY_REPORT, ANY_SCHEDULE, CHAIN, add_more, first_of_graph, uuid_of, write_reports
from bench.large_rows import catch_up, make
from bench.page_paths import paths
from jobcron import Database
from jobcron.web import application
from jobcron.web.mounting import close, routes

BAR_SECONDS = 0.2
ROUNDS = 5


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


def measure(client: FlaskClient, database: Database, rows: int) -> Iterator[Measured]:
    """Ask for each page some times, and yield the best; once more, to know what the database takes."""
    graph, middle = first_of_graph(database), rows // 2
    parts: dict[str, object] = {"middle": middle, "last": rows, "graph": graph, "chained": graph + CHAIN // 2}
    parts["uuid"] = uuid_of(database, graph + CHAIN // 2)
    names = [route.name for route in routes() if route.method == "GET"]
    for path in paths(names, schedule=ANY_SCHEDULE, report=ANY_REPORT, **parts):
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


@contextmanager
def _database(url: str | None, name: str, rows: int, folder: Path) -> Iterator[Database]:
    """Yield a database with its rows: the one that is named, or a new one."""
    if url is not None:
        database = Database(url)
        catch_up(database)
        add_more(database)
        yield database
        database.close()
        return
    with sqlite(folder) if name == "SQLite" else postgresql(folder) as made:
        database = Database(made)
        make(database, rows)
        add_more(database)
        yield database
        database.close()


def run(url: str | None, name: str, rows: int, tell: Callable[[str], None]) -> bool:
    """Measure all pages on one database, print a table, and return whether each keeps the bar."""
    with tempfile.TemporaryDirectory(prefix="bench-pages-") as temporary:
        folder = Path(temporary)
        with _database(url, name, rows, folder) as database:
            where = database.engine.url.render_as_string(hide_password=False)
            (folder / "jobcron.conf").write_text(CONFIGURATION.format(url=where, top=TOP, folder=folder))
            write_reports(folder / "state" / "oops")
            print(f"\n{name}, {rows:,} jobs, load {os.getloadavg()[0]:.1f}\n")
            print("| page | ms | of processor | in the database |\n| --- | ---: | ---: | ---: |")
            return _table(str(folder), database, rows, tell)


def _table(config: str, database: Database, rows: int, tell: Callable[[str], None]) -> bool:
    app = application(config, authorize=lambda environ: "operator")
    is_kept = True
    client = app.test_client()
    client.get("/")  # imports the application
    for found in measure(client, database, rows):
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
    add_only(parser)
    parser.add_argument("--url", help="of a database that bench.large_rows has made, with so many rows")
    options = parser.parse_args()
    if options.rows < 1000:
        parser.error(f"expected at least 1000 rows, got: {options.rows}")
    only = options.only
    if options.url:
        only = "SQLite" if options.url.startswith("sqlite") else "PostgreSQL"
    return status_of(only, lambda name: run(options.url, name, options.rows, tell))


if __name__ == "__main__":
    sys.exit(main())
