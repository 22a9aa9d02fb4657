"""Measure graphs of jobs: ``python -m bench.graphs --jobs 10000``.

Each shape is created in one transaction, its commit included, on PostgreSQL and on SQLite, both durable. Then jobs
of it are ended one by one, each in a transaction of its own, as runs end them: their median says what a release
costs where so many jobs wait for one, or one for so many.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sqlalchemy import text

from bench.application import Foo, NoOpJob, make_tables
from bench.both import add_only, status_of
from jobcron import Database, chain, group
from jobcron.jobs.graphs.elements import Element
from jobcron.testing.server import PrivatePostgreSQL

BAR_SECONDS = 2.0
"""In which a graph of 10,000 jobs is to be created."""

ENDED = 200
"""How many jobs of each graph are ended."""

STAR = 100
"""The size of the groups that follow each other."""

END = text("UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = :id")


def shapes(plan: Callable[[], Element], jobs: int) -> dict[str, Callable[[], Element]]:
    """Return what makes each shape of so many planned jobs."""

    def many(number: int) -> list[Element]:
        return [plan() for _ in range(number)]

    def stars() -> Element:
        return chain(*(chain(plan(), group(*many(STAR - 1))) for _ in range(jobs // STAR)))

    return {
        "a chain": lambda: chain(*many(jobs)),
        "a group, and a job that waits for all of it": lambda: group(*many(jobs - 1)).on_end(plan()),
        "a job, and a group that waits for it": lambda: plan().on_done(*many(jobs - 1)),
        f"one job and {STAR - 1} in turn": stars,
    }


class Measured(NamedTuple):
    """What was measured of a shape.

    Attributes:
        shape: its name.
        edges: how many edges it has.
        seconds: how long it took to create it, the best of the rounds.
        cpu: of these, the seconds in this process: the best of the rounds.
        end: how long the end of a job took, in milliseconds: the median.
        last: how long the last one took.
    """

    shape: str
    edges: int
    seconds: float
    cpu: float
    end: float
    last: float


def measure(database: Database, jobs: int, rounds: int) -> Iterator[Measured]:
    """Create each shape some times, and yield its best time; end jobs of the last one."""
    for name in shapes(partial(NoOpJob.planned, None), jobs):
        seconds, cpu = [], []
        for _ in range(rounds):
            with database.session() as session:
                foo = session.get_one(Foo, 1)
                began, used = time.monotonic(), time.process_time()
                numbers = shapes(partial(NoOpJob.planned, foo), jobs)[name]().create(session=session).jobs
                session.commit()
                seconds.append(time.monotonic() - began)
                cpu.append(time.process_time() - used)
        with database.begin(writing=False) as connection:
            count = "SELECT count(*) FROM jobcron_edge WHERE successor BETWEEN :first AND :last"
            edges = connection.scalar(text(count), {"first": min(numbers), "last": max(numbers)})
        ends = [_end(database, number) for number in numbers[:ENDED]]
        if name.startswith("a group"):  # what waits for all of it is released by the last one
            for number in numbers[ENDED:]:
                ends.append(_end(database, number))
        yield Measured(name, edges or 0, min(seconds), min(cpu), median(ends) * 1000, ends[-1] * 1000)


def _end(database: Database, number: int) -> float:
    began = time.monotonic()
    with database.begin() as connection:
        connection.execute(END, {"id": number})
    return time.monotonic() - began


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """Return the URL of a file that does not exist yet."""
    yield f"sqlite:///{folder}/graphs.db"


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Return the URL of an empty database on a server of its own."""
    with PrivatePostgreSQL(settings={"fsync": "on", "synchronous_commit": "on"}) as server:
        server.create_database("graphs")
        yield server.url("graphs")


def run(name: str, jobs: int, rounds: int) -> bool:
    """Measure all shapes on one database, print a table, and return whether each keeps the bar."""
    is_kept = True
    with tempfile.TemporaryDirectory(prefix="bench-graphs-") as temporary:
        folder = Path(temporary)
        with (sqlite if name == "SQLite" else postgresql)(folder) as url:
            database = Database(url)
            make_tables(database)
            print(f"\n{name}, {jobs:,} jobs, load {os.getloadavg()[0]:.1f}\n")
            print("| graph | edges | created in, s | own CPU, s | end of a job, ms | of the last, ms |")
            print("| --- | ---: | ---: | ---: | ---: | ---: |")
            for found in measure(database, jobs, rounds):
                figures = (
                    f"{found.edges:,} | {found.seconds:.2f} | {found.cpu:.2f} | {found.end:.2f} | {found.last:.2f}"
                )
                print(f"| {found.shape} | {figures} |", flush=True)
                is_kept = is_kept and found.seconds <= BAR_SECONDS * jobs / 10_000
            database.close()
    return is_kept


def main() -> int:
    """Do what the command line says; the exit status is 1 if a graph misses the bar."""
    parser = argparse.ArgumentParser(prog="bench.graphs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, metavar="N", help="jobs of a graph (default: 10000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each is made (default: 3)")
    add_only(parser)
    options = parser.parse_args()
    if options.jobs < STAR or options.rounds < 1:
        parser.error(f"expected at least {STAR} jobs and one round, got: {options.jobs}, {options.rounds}")
    return status_of(options.only, lambda name: run(name, options.jobs, options.rounds))


if __name__ == "__main__":
    sys.exit(main())
