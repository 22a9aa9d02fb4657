"""Measure the commands that read, in a database with millions of jobs: ``python -m bench.large --rows 2000000``.

The rows are made by SQL. Each command is performed in this process, and only the time in the database driver
counts. A statement that takes longer than the bar is shown with its plan.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from bench import TOP
from bench.both import add_only, status_of, tell
from bench.driver_time import DriverTime, Timed, best_of
from bench.large_rows import make
from jobcron import Database
from jobcron.commands.main import main as jobcron
from jobcron.testing.server import PrivatePostgreSQL

BAR_SECONDS = 0.3
ROUNDS = 5
BYTES_PER_ROW = 1500
"""How much room a job takes at most, with its indexes, its events and the log of the database that writes it."""

CONFIGURATION = """\
[jobcron]
database_url: {url}
application: bench.large_application
python_path: {top}
state_dir: {folder}/state

[common]
source_interface: bench.large_application.CommonJob

[rare]
source_interface: bench.large_application.RareJob
"""

COMMANDS = (
    "jobs",
    "jobs --count",
    "jobs --section common --status waiting",
    "jobs --section rare --status waiting",
    "jobs --type bench.LargeJobType.RARE",
    "jobs --type bench.LargeJobType.RARE --status failed",
    "jobs --status running",
    "jobs --status suspended",
    "jobs --status ended --count",
    "jobs --queue mail",
    "jobs --queue nothing",
    "jobs --requester ann",
    "jobs --requester nobody",
    "jobs --unique-key none",
    "jobs --error ValueError",
    "jobs --error nothing-like-it",
    "jobs --oops OOPS-L20",
    "jobs --oops OOPS-NONE",
    "jobs --argument n=2",
    "jobs --older-than 29d",
    "jobs --younger-than 1m",
    "jobs --ended-within 1h",
    "jobs --due-within 0s",
    "jobs --due-after 23h",
    "jobs --before {middle}",
    "job {middle}",
    "why {middle}",
    "why {last}",
    "why --section common",
    "why --section rare",
    "sections",
    "runs",
    "runs rare",
    "runners",
    "types",
    "oops --group",
    "plan common",
    "plan rare",
    "undo",
    "pause",
    "schedules",
    "check-runs",
    "doctor",
)


class Measured:
    """A command, with its statements, each as in the best of some rounds."""

    def __init__(self, command: str, statements: list[Timed]) -> None:
        self.command = command
        self.seconds = sum(one.seconds for one in statements)
        self.slowest = max(statements, key=lambda one: one.seconds, default=Timed(0.0, "", None))


def measure(folder: Path, rows: int) -> Iterator[Measured]:
    """Perform each command some times, and yield the best times of its statements in the database."""
    for command in COMMANDS:
        words = command.format(middle=rows // 2, last=rows).split()
        rounds: list[list[Timed]] = []
        for _ in range(ROUNDS):
            with DriverTime() as times, redirect_stdout(StringIO()), redirect_stderr(StringIO()) as err:
                try:
                    jobcron(["--config", str(folder), *words])
                except SystemExit as left:
                    raise SystemExit(f"bench: jobcron {command}: {err.getvalue()}") from left
            rounds.append(times.statements)
            if times.seconds > 20 * BAR_SECONDS:
                break  # it is bad enough
        yield Measured(command, best_of(rounds))


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """Return the URL of a file that does not exist yet."""
    yield f"sqlite:///{folder}/large.db"


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Return the URL of an empty database on a server of its own."""
    with PrivatePostgreSQL(settings={"max_wal_size": "4GB"}) as server:
        server.create_database("large")
        yield server.url("large")


def run(name: str, rows: int, tell: Callable[[str], None]) -> bool:
    """Measure all commands on one database, print a table, and return whether each keeps the bar."""
    is_kept = True
    with tempfile.TemporaryDirectory(prefix="bench-large-") as temporary:
        folder = Path(temporary)
        place = sqlite(folder) if name == "SQLite" else postgresql(folder)
        with place as url:
            (folder / "jobcron.conf").write_text(CONFIGURATION.format(url=url, top=TOP, folder=folder))
            database = Database(url)
            began = time.monotonic()
            make(database, rows)
            tell(f"{name}: {rows:,} jobs made in {time.monotonic() - began:.0f} s")
            print(f"\n{name}, {rows:,} jobs, load {os.getloadavg()[0]:.1f}\n\n| command | ms |\n| --- | ---: |")
            for found in measure(folder, rows):
                print(f"| `jobcron {found.command}` | {found.seconds * 1000:.0f} |", flush=True)
                if found.seconds > BAR_SECONDS:
                    is_kept = False
                    tell(explained(database, found.command, found.seconds, found.slowest))
            database.close()
    return is_kept


def explained(database: Database, what: str, took: float, slowest: Timed) -> str:
    """Return the slowest statement of what took so many seconds, with its plan."""
    seconds, statement, parameters = slowest
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    with database.engine.connect() as connection:
        cursor = connection.connection.cursor()
        try:
            cursor.execute(explain + statement, parameters)
            plan = "\n".join(f"    {row[-1]}" for row in cursor.fetchall())
        except Exception as error:
            plan = f"    no plan: {error}"
    return f"{what}: {took * 1000:.0f} ms, of these {seconds * 1000:.0f} ms in\n{statement}\n{plan}"


def main() -> int:
    """Do what the command line says; the exit status is 1 if a command misses the bar."""
    parser = argparse.ArgumentParser(prog="bench.large", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, metavar="N", help="jobs (default: 2000000)")
    add_only(parser)
    options = parser.parse_args()
    if options.rows < 1000:
        parser.error(f"expected at least 1000 rows, got: {options.rows}")
    free, wanted = shutil.disk_usage(tempfile.gettempdir()).free, options.rows * BYTES_PER_ROW
    if free < wanted:
        parser.error(f"expected {wanted >> 20:,} MiB free in {tempfile.gettempdir()}, found {free >> 20:,} MiB")
    return status_of(options.only, lambda name: run(name, options.rows, tell))


if __name__ == "__main__":
    sys.exit(main())
