"""An endurance run: ``python -m bench.soak --minutes 60``.

Runs and a worker have work all the time, on both databases, and their memory, open descriptors, threads and
connections are looked at twelve times. What grows over an hour is a leak, whatever the speed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from bench import TARGET_ID
from bench.application import Foo, NapJob
from bench.instance import write_instance
from bench.place import EMPTY, Fresh, Place
from bench.postgresql import PostgreSQL
from bench.sqlite import SQLite
from bench.worker import JOBCRON, environment
from jobcron import Database

LOOKS = 12

READY = 200
"""How many jobs are kept ready: no run may come to its end."""

FILL_SECONDS = 0.5


class Program(NamedTuple):
    """A program that is watched.

    Attributes:
        name: what it is, and where.
        command: its arguments.
        runner: the section's ``runner_class``.
    """

    name: str
    command: list[str]
    runner: str = "JobRunner"


PROGRAMS = (
    Program("run", ["run", "no_op"]),
    Program("run, isolated", ["run", "no_op"], "ProcessJobRunner"),
    Program("worker", ["worker"]),
)


class Look(NamedTuple):
    """What a look at a process found."""

    kib: int
    descriptors: int
    threads: int
    connections: int
    jobs: int


def look(pid: int, database: Database) -> Look:
    """Look at a process, and at its database."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    connections = 0
    with database.begin(writing=False) as connection:
        if database.dialect == "postgresql":
            asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            connections = connection.scalar(text(asked)) or 0
        jobs = connection.scalar(text("SELECT count(*) FROM jobcron_job WHERE status = 2")) or 0
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return Look(int(status["VmRSS"].split()[0]), descriptors, int(status["Threads"]), connections, jobs)


def fill(database: Database, is_over: threading.Event) -> None:
    """Keep jobs ready, until it is over."""
    with database.session() as session:
        foo = session.get_one(Foo, TARGET_ID)
        session.commit()
        while not is_over.wait(FILL_SECONDS):
            ready = session.scalar(text("SELECT count(*) FROM jobcron_job WHERE status = 0")) or 0
            for _ in range(READY - ready):
                NapJob.create(foo)
            session.commit()


def watch(program: Program, fresh: Fresh, seconds: float) -> list[Look]:
    """Let a program run for so long, and look at it at regular times."""
    config = write_instance(fresh.folder, fresh.url, program.runner)
    path = config / "jobcron.conf"
    path.write_text(path.read_text().replace("NoOpJob", "NapJob"))
    is_over = threading.Event()
    filler = threading.Thread(target=fill, args=(Database(fresh.url), is_over), daemon=True)
    filler.start()
    time.sleep(5 * FILL_SECONDS)
    with (config / "log").open("w") as log, closing(Database(fresh.url)) as database:
        command = [JOBCRON, *program.command]
        process = subprocess.Popen(command, env=environment({"JOBCRON_CONFIG": str(config)}), stderr=log)
        try:
            looks = []
            for _ in range(LOOKS):
                time.sleep(seconds / LOOKS)
                if process.poll() is not None:
                    raise RuntimeError(f"{program.name} has ended:\n{(config / 'log').read_text()}")
                looks.append(look(process.pid, database))
            return looks
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            is_over.set()
            filler.join()


def main() -> None:
    """Watch all programs at once, and print what was seen."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long")
    parser.add_argument("--only", nargs="+", metavar="TEXT", default=[""], help='of those named so: "run, SQLite"')
    options = parser.parse_args()
    seconds = options.minutes * 60
    found: dict[str, list[Look]] = {}
    with _places() as places, ExitStack() as stack:
        threads = []
        for place in places:
            for program in PROGRAMS:
                name = f"{program.name}, {place.name}"
                if not any(text in name for text in options.only):
                    continue
                fresh = stack.enter_context(place.fresh(EMPTY))

                def follow(name: str = name, program: Program = program, fresh: Fresh = fresh) -> None:
                    found[name] = watch(program, fresh, seconds)

                threads.append(threading.Thread(target=follow))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name, looks in found.items():
        print(name, *(json.dumps(one._asdict()) for one in looks), sep="\n  ")
    if len(found) < len(threads):
        sys.exit("not all programs lasted")


@contextmanager
def _places() -> Iterator[list[Place]]:
    with tempfile.TemporaryDirectory(prefix="jobcron-soak-") as name:
        folder = Path(name)
        with closing(PostgreSQL(1, folder)) as postgresql:
            yield [postgresql, SQLite(1, folder)]


if __name__ == "__main__":
    main()
