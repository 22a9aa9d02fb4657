"""Measure what channels cost a claim: ``python -m bench.limits``.

One job is claimed as a run claims it: its channels are locked, the job is claimed, and the transaction commits.
Jobs wait in a channel whose running jobs are counted, in one below another that has a limit as well,
in one with a limit for each key, and in one with a limit of starts in a period. Beside them stand claims without
channels, of one job too, since a job in a channel with a limit is always claimed alone. ``sequential`` is left
out: it lets one job run at a time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy import Connection, text

from bench import TARGET_ID
from bench.application import Foo, NoOpJob, make_tables
from bench.both import add_only, status_of
from bench.graphs import postgresql, sqlite
from jobcron import Database
from jobcron.operations.processes.channels import set_limits
from jobcron.queue.claim import Claimant, claim, hold_channels

BAR = 2.0
"""A claim with limits is to take no more times as long as one without."""

RUNNING = 200
"""How many jobs run in the channel, and are counted by each claim."""

ROUNDS = 60

NONE = "no channel"

Limits = dict[str, dict[str, object]]

CASES: dict[str, Limits] = {
    NONE: {},
    "a limit of jobs at once": {"root.export": {"capacity": 5000}},
    "the same, and one above it": {"root.export": {"capacity": 5000}, "root": {"capacity": 9000}},
    "a limit for each key": {"root.export": {"per_key": 3}},
    "a limit of starts in a period": {"root.export": {"throttle": 100_000, "period": 3600.0}},
}

LIMITED = "UPDATE jobcron_job SET channel = 'root.export', channel_key = CAST(id AS text)"


class Measured(NamedTuple):
    """What was measured of a claim.

    Attributes:
        least: how many milliseconds it took at least.
        middle: the median.
    """

    least: float
    middle: float


def measure(plain: Database, limited: Database) -> Iterator[tuple[str, Measured]]:
    """Yield what a claim takes in each case."""
    for name, limits in CASES.items():
        database = limited if limits else plain
        with database.begin() as connection:
            connection.execute(text("DELETE FROM jobcron_channel"))
            for channel, limit in limits.items():
                set_limits(connection, channel, limit)
        yield name, _measured(database, bool(limits))


def _measured(database: Database, is_limited: bool) -> Measured:
    took = []
    with database.begin(writing=False) as connection:
        type_id = _type_of(connection)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with database.begin() as connection:
            _claim(connection, type_id, is_limited)
        took.append((time.perf_counter() - began) * 1000)
    return Measured(min(took), median(took))


def _type_of(connection: Connection) -> int:
    wanted = text("SELECT id FROM jobcron_type WHERE name = :name")
    return int(connection.execute(wanted, {"name": NoOpJob.type_name}).scalar_one())


def _claim(connection: Connection, type_id: int, is_limited: bool) -> None:
    claimant = Claimant("bench:1", 300.0)
    held = hold_channels(connection, type_id, claimant) if is_limited else None
    if not claim(connection, type_id, 1, claimant, held):
        raise SystemExit("bench: expected to claim a job, got none")


def _filled(url: str, jobs: int, is_limited: bool) -> Database:
    """Return a database with so many jobs that wait, and some that run."""
    database = Database(url)
    make_tables(database)
    with database.session() as session:
        NoOpJob.createMultiple([session.get_one(Foo, TARGET_ID)] * (jobs + RUNNING), session=session)
        session.commit()
    with database.begin() as connection:
        claim(connection, _type_of(connection), RUNNING, Claimant("bench:2", 86_400.0))
        if is_limited:
            connection.execute(text(LIMITED))
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    return database


def run(name: str, jobs: int) -> bool:
    """Measure all cases on one database, print a table, and return whether each keeps the bar."""
    is_kept = True
    print(f"\n{name}, {jobs:,} jobs that wait, {RUNNING} that run, load {os.getloadavg()[0]:.1f}\n")
    print("| limits | at least, ms | median, ms | times as long |")
    print("| --- | ---: | ---: | ---: |")
    server = sqlite if name == "SQLite" else postgresql
    with ExitStack() as stack:
        urls = [stack.enter_context(server(Path(stack.enter_context(TemporaryDirectory())))) for _ in range(2)]
        plain, limited = _filled(urls[0], jobs, False), _filled(urls[1], jobs, True)
        without = 0.0
        for case, found in measure(plain, limited):
            without = without or found.middle
            times = found.middle / without
            print(f"| {case} | {found.least:.2f} | {found.middle:.2f} | {times:.1f} |", flush=True)
            is_kept = is_kept and times <= BAR
        plain.close()
        limited.close()
    return is_kept


def main() -> int:
    """Do what the command line says; the exit status is 1 if a claim misses the bar."""
    parser = argparse.ArgumentParser(prog="bench.limits", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, metavar="N", help="jobs that wait (default: 10000)")
    add_only(parser)
    options = parser.parse_args()
    if options.jobs < len(CASES) * ROUNDS:
        parser.error(f"expected at least {len(CASES) * ROUNDS} jobs, got: {options.jobs}")
    return status_of(options.only, lambda name: run(name, options.jobs))


if __name__ == "__main__":
    sys.exit(main())
