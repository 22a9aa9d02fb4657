"""P5 and P6: making jobs, many at once, and one by one, each in a transaction of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench.bars import Bar, Best, Peers, Share
from bench.peers.contenders import CREATORS, creates
from bench.place import EMPTY, Fresh, Place
from bench.profiling import PROFILE_FILE
from bench.race import Contender, Figures, Race
from bench.worker import WorkerFailed, run, timed

Command = Callable[[Fresh, int], list[str]]


def create_race(place: Place, jobs: int) -> Race:
    """Return the race on one database.

    The bar is judged by the floor that writes the rows that jobcron writes: the shared one and the family's.
    """
    driver, least = ("bare psycopg2", 0.6) if place.name == "PostgreSQL" else ("bare sqlite3", 0.4)
    commands: dict[str, Command] = {
        "jobcron create()": by_jobcron("timed"),
        f"{driver}, both rows": by_bare_sql("two"),
        f"{driver}, shared row only": by_bare_sql("one"),
    }
    return Race(
        id="P6",
        work="create one by one",
        database=place.name,
        contenders=[_contender(name, command, place, jobs) for name, command in commands.items()],
        bars=[Share(f"{driver}, both rows", least), Share(f"{driver}, shared row only", None)],
    )


def bulk_race(place: Place, jobs: int, *, has_peers: bool) -> Race:
    """Return the race of making many jobs at once on one database; other queues take part on PostgreSQL."""
    floor, least = (
        ("COPY into both tables", 0.55) if place.name == "PostgreSQL" else ("executemany, both rows", None)
    )
    commands = {"jobcron createMultiple()": by_jobcron("at_once"), floor: by_copy}
    contenders = [_contender(name, command, place, jobs) for name, command in commands.items()]
    bars: list[Bar] = [Share(floor, least)]
    if place.name == "PostgreSQL" and has_peers:
        contenders += [creates(peer, place, jobs) for peer in CREATORS]
        bars.append(Best(tuple(peer.name for peer in CREATORS), 1.0))
    elif place.name == "PostgreSQL":
        bars.append(Peers("ahead of every peer"))
    return Race(id="P5", work="create in bulk", database=place.name, contenders=contenders, bars=bars)


def _contender(name: str, command: Command, place: Place, jobs: int) -> Contender:
    def measure() -> Figures:
        with place.fresh(EMPTY) as fresh:
            figures = place.watched(fresh, jobs, lambda: timed(command(fresh, jobs), fresh.folder, jobs))
            made = place.count(fresh, "jobcron_job")
        if made != jobs:
            raise WorkerFailed(f"expected {name} to create {jobs} jobs, {made} are there")
        return figures

    def inspect() -> Figures:
        with place.fresh(EMPTY) as fresh:
            sent = place.round_trips(fresh, lambda: timed(command(fresh, jobs), fresh.folder, jobs))
        return {} if sent is None else {"round_trips": sent / jobs}

    return Contender(name, measure, inspect)


def by_jobcron(how: str) -> Command:
    """Return the command that makes jobs by ``create()``.

    Args:
        how: "timed", "profiled" or "at_once".
    """
    return lambda fresh, jobs: [sys.executable, "-m", "bench.create_jobs", fresh.url, str(jobs), how]


def by_bare_sql(tables: str) -> Command:
    """Return the command that inserts from a bare driver.

    Args:
        tables: "one": the shared row; "two": the family's as well.
    """
    return lambda fresh, jobs: [sys.executable, "-m", "bench.floors.create", fresh.url, str(jobs), tables]


def by_copy(fresh: Fresh, jobs: int) -> list[str]:
    """Return the command that inserts both rows of many jobs from a bare driver."""
    return [sys.executable, "-m", "bench.floors.copy", fresh.url, str(jobs)]


def profile_create(place: Place, jobs: int, path: str) -> None:
    """Write where making jobs spends its time to the file `path`."""
    with place.fresh(EMPTY) as fresh:
        run(by_jobcron("profiled")(fresh, jobs), {PROFILE_FILE: path})
