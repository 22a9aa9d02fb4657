"""Measure what channels cost a claim: ``python -m bench.limits``.

One job is claimed as a run claims it: its channels are locked, the job is claimed, and the transaction commits.
Jobs wait in a channel whose running jobs are counted, in one below another that has a limit as well, in one with a
limit for each key, in one with a limit of starts in a period, and in one that keeps the order of each key, of one
type and of two; in the channel of their section; and half of them in a limited channel, half in none. Beside them
stand claims without channels, of one job too, since a job in a channel with a limit is always claimed alone. An
order of all jobs of a channel is left out: it lets one job run at a time.

Each case has a database of its own, and they take turns, so that a busy machine is so for all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy import Connection, text

from bench import TARGET_ID
from bench.application import Foo, NoOpJob, make_tables
from bench.both import add_only, status_of
from jobcron import Database
from jobcron.operations.processes.channels import set_limits
from jobcron.queue.claim import Claimant, claim, hold_channels
from jobcron.testing.server import PrivatePostgreSQL

BAR = 2.0
"""A claim with limits is to take no more times as long as one without."""

RUNNING = 200
"""How many jobs run in the channel, and are counted by each claim."""

ROUNDS = 60

CHANNEL = "root.export"

ALL, RUNNING_ONLY, HALF = "TRUE", "status = 1", "status = 1 OR id % 2 = 0"
"""Which jobs are in the channel themselves."""

PLACED = "UPDATE jobcron_job SET channel = :channel, channel_key = CAST(id AS text) WHERE "


RIVALS = """INSERT INTO jobcron_job (uuid, type, channel, channel_key)
SELECT {uuid}, kind.id, :channel, job.channel_key
FROM jobcron_job AS job, jobcron_type AS kind WHERE job.status = 0 AND kind.name = 'bench.rival'"""

UUID = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}


class Case(NamedTuple):
    """A kind of limit.

    Attributes:
        name: in words.
        limits: of which channels.
        placed: which jobs are in the channel; empty: none.
        section: the channel of the section's other jobs.
        has_rivals: whether behind each job one of another type waits with the same key.
    """

    name: str
    limits: dict[str, dict[str, object]]
    placed: str = ALL
    section: str = ""
    has_rivals: bool = False


AT_ONCE: dict[str, dict[str, object]] = {CHANNEL: {"capacity": 5000}}

CASES = (
    Case("no channel", {}, ""),
    Case("a limit of jobs at once", AT_ONCE),
    Case("the same, and one above it", {**AT_ONCE, "root": {"capacity": 9000}}),
    Case("a limit for each key", {CHANNEL: {"per_key": 3}}),
    Case("a limit of starts in a period", {CHANNEL: {"throttle": 100_000, "period": 3600.0}}),
    Case("an order for each key", {CHANNEL: {"sequential": "target"}}),
    Case("the same, with jobs of another type", {CHANNEL: {"sequential": "target"}}, has_rivals=True),
    Case("a limit of the section's channel", AT_ONCE, RUNNING_ONLY, CHANNEL),
    Case("half of the jobs in no channel", AT_ONCE, HALF),
)


class Claims:
    """Claims of single jobs in a case, and what they took.

    Args:
        case: the case.
        url: of a database that is empty.
        jobs: how many jobs wait.

    Attributes:
        took: how many milliseconds each claim took.
        cpu: how many of the CPU, this process's and the server's together; empty where the system does not tell.
    """

    def __init__(self, case: Case, url: str, jobs: int) -> None:
        self._claimant = Claimant("bench:1", 300.0, channel=case.section)
        self._is_limited = bool(case.placed)
        self._database = _filled(url, jobs, case)
        with self._database.begin(writing=False) as connection:
            self._type_id = _type_of(connection)
        self.took: list[float] = []
        self.cpu: list[float] = []

    def measure(self) -> None:
        """Claim one job."""
        with self._database.begin(writing=False) as connection:
            is_server = connection.dialect.name == "postgresql"
            server = connection.scalar(text("SELECT pg_backend_pid()")) if is_server else None
        used, began = _cpu(server), time.perf_counter()
        with self._database.begin() as connection:
            self._claim(connection)
        self.took.append((time.perf_counter() - began) * 1000)
        now = _cpu(server)
        if used is not None and now is not None:
            self.cpu.append(now - used)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _claim(self, connection: Connection) -> None:
        held = hold_channels(connection, self._type_id, self._claimant) if self._is_limited else None
        if not claim(connection, self._type_id, 1, self._claimant, held):
            raise SystemExit("bench: expected to claim a job, got none")


def _cpu(server: int | None) -> float | None:
    """Return the CPU milliseconds of this process, and of a server's on the same machine, until now."""
    own = time.process_time() * 1000
    if server is None:
        return own
    try:
        return own + int(Path(f"/proc/{server}/schedstat").read_text().split()[0]) / 1e6
    except OSError:
        return None


def _type_of(connection: Connection) -> int:
    wanted = text("SELECT id FROM jobcron_type WHERE name = :name")
    return int(connection.execute(wanted, {"name": NoOpJob.type_name}).scalar_one())


def _filled(url: str, jobs: int, case: Case) -> Database:
    """Return a database with so many jobs that wait, and some that run."""
    database = Database(url)
    make_tables(database)
    with database.session() as session:
        number = jobs + RUNNING
        NoOpJob.createMultiple([session.get_one(Foo, TARGET_ID)] * number, session=session)
        session.commit()
    with database.begin() as connection:
        claim(connection, _type_of(connection), RUNNING, Claimant("bench:2", 86_400.0))
        if case.placed:
            connection.execute(text(PLACED + case.placed), {"channel": CHANNEL})
        if case.has_rivals:
            connection.execute(text("INSERT INTO jobcron_type (name) VALUES ('bench.rival')"))
            connection.execute(text(RIVALS.format(uuid=UUID[connection.dialect.name])), {"channel": CHANNEL})
        for channel, limit in case.limits.items():
            set_limits(connection, channel, limit)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    return database


@contextmanager
def _urls(name: str) -> Iterator[list[str]]:
    """Return the URL of an empty database for each case."""
    if name == "SQLite":
        with TemporaryDirectory(prefix="bench-limits-") as folder:
            yield [f"sqlite:///{folder}/{number}.db" for number in range(len(CASES))]
        return
    with PrivatePostgreSQL(settings={"fsync": "on", "synchronous_commit": "on"}) as server:
        names = [f"limits_{number}" for number in range(len(CASES))]
        for database in names:
            server.create_database(database)
        yield [server.url(database) for database in names]


def run(name: str, jobs: int) -> bool:
    """Measure all cases on one database, print a table, and return whether each keeps the bar."""
    with ExitStack() as stack:
        measured: list[Claims] = []
        for case, url in zip(CASES, stack.enter_context(_urls(name)), strict=True):
            measured.append(Claims(case, url, jobs))
            stack.callback(measured[-1].close)
        print(f"\n{name}, {jobs:,} jobs that wait, {RUNNING} that run, load {os.getloadavg()[0]:.1f}\n")
        for _ in range(ROUNDS):
            for claims in measured:
                claims.measure()
    print("| limits | at least, ms | median, ms | times as long | CPU, ms | times as much |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    is_kept = True
    for case, claims in zip(CASES, measured, strict=True):
        times = median(claims.took) / median(measured[0].took)
        cpu = "- | -"
        if claims.cpu:
            cpu = f"{median(claims.cpu):.2f} | {median(claims.cpu) / median(measured[0].cpu):.1f}"
        print(f"| {case.name} | {min(claims.took):.2f} | {median(claims.took):.2f} | {times:.1f} | {cpu} |")
        is_kept = is_kept and times <= BAR
    return is_kept


def main() -> int:
    """Do what the command line says; the exit status is 1 if a claim misses the bar."""
    parser = argparse.ArgumentParser(prog="bench.limits", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, metavar="N", help="jobs that wait (default: 10000)")
    add_only(parser)
    options = parser.parse_args()
    if options.jobs < 2 * ROUNDS:
        parser.error(f"expected at least {2 * ROUNDS} jobs, got: {options.jobs}")
    return status_of(options.only, lambda name: run(name, options.jobs))


if __name__ == "__main__":
    sys.exit(main())
