"""P7 and P14: a tick with nothing to do, and commands that need no database; the whole process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.bars import AtMost, Bar, Excess, Multiple, Peers
from bench.instance import SECTION, write_instance
from bench.place import EMPTY, Place
from bench.race import Contender, Figures, Race
from bench.worker import JOBCRON, WorkerFailed, run

TIMES = 10
"""How often each command runs in a round; a round's figure is the median."""

MOST_ABOVE_MS = 35.0

MOST_TIMES = 3.0

NOTHING = "python -c pass"

LAUNCH = str(Path(__file__).with_name("launch.py"))

QUERY = "SELECT id FROM jobcron_job WHERE status = 0 LIMIT 1"

# What a cron script could not do without: connect, ask one question. The module's name, then where to connect to.
BARE = """\
import {module}
connection = {module}.connect({address!r})
cursor = connection.cursor()
cursor.execute({query!r})
cursor.fetchone()
connection.close()
"""


def tick_race(place: Place, stack: ExitStack) -> Race:
    """Return the race on one database.

    Args:
        place: where.
        stack: keeps the database until the race is over: a tick changes nothing, so that all share one.
    """
    fresh = stack.enter_context(place.fresh(EMPTY))
    config = write_instance(fresh.folder, fresh.url)
    tick = Tick([JOBCRON, "run", SECTION], {"JOBCRON_CONFIG": str(config)})
    tick.cost(2)  # the first run writes the run's row, and what Python and jobcron keep compiled
    on_server = place.name == "PostgreSQL"
    module = "psycopg2" if on_server else "sqlite3"
    address = fresh.url.replace("+psycopg2", "") if on_server else fresh.url.removeprefix("sqlite:///")
    bare = Tick([sys.executable, "-c", BARE.format(module=module, address=address, query=QUERY)])

    def inspect() -> Figures:
        figures = place.disturbance(fresh, lambda: tick.cost(1))
        if place.count(fresh, "jobcron_run") != 1:
            raise WorkerFailed("expected ticks with nothing to do to write no row of a run, they wrote some")
        return figures

    quiet: list[Bar] = [AtMost("file_changes", 0)]
    if on_server:
        quiet = [AtMost("statements", 1), AtMost("wal_bytes", 0)]
    return Race(
        id="P7",
        work="idle tick",
        database=place.name,
        contenders=[
            Contender("jobcron run", tick.measure, inspect),
            Contender(f"bare {module}", bare.measure),
            Contender(NOTHING, Tick([sys.executable, "-c", "pass"]).measure),
        ],
        bars=[Excess(f"bare {module}", MOST_ABOVE_MS), *quiet, Peers("below half of every peer")],
    )


def command_races(place: Place, stack: ExitStack) -> Iterator[Race]:
    """Yield the races P14: commands that need no database, each a whole process.

    Args:
        place: where the instance's database is; nothing reads it.
        stack: keeps the instance until the race is over.
    """
    fresh = stack.enter_context(place.fresh(EMPTY))
    more = {"JOBCRON_CONFIG": str(write_instance(fresh.folder, fresh.url))}
    Tick([JOBCRON, "run", SECTION], more).cost(1)  # makes the directory in which the settings are kept once read
    for arguments, status in (("--help", 0), ("frobnicate", 2), ("crontab", 0)):
        command = Tick([JOBCRON, arguments], more, status)
        command.cost(2)  # what Python and jobcron keep compiled
        name = f"jobcron {arguments}"
        contenders = [
            Contender(name, command.measure),
            Contender(NOTHING, Tick([sys.executable, "-c", "pass"]).measure),
        ]
        yield Race("P14", name, "–", contenders, [Multiple(NOTHING, MOST_TIMES)])


class Tick:
    """A process that is started, does next to nothing and ends.

    Args:
        command: its program, by its path, and arguments.
        more: set in its environment.
        status: the exit status that it should leave with.
    """

    def __init__(self, command: list[str], more: Mapping[str, str] | None = None, status: int = 0) -> None:
        self._command = command
        self._more = more
        self._status = status

    def cost(self, times: int) -> list[tuple[float, float, float]]:
        """Run it so many times; return wall seconds, CPU seconds and KiB of memory of each."""
        # -I -S: the launcher loads nothing of the environment, to stay small.
        launcher = [sys.executable, "-I", "-S", LAUNCH, str(times), str(self._status)]
        return [tuple(cost) for cost in json.loads(run([*launcher, *self._command], self._more))]

    def measure(self) -> Figures:
        """Return the medians of some runs."""
        wall, cpu, memory = zip(*self.cost(TIMES), strict=True)
        return {"wall_ms": median(wall) * 1000, "cpu_ms": median(cpu) * 1000, "max_rss_mib": median(memory) / 1024}
