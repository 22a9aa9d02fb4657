"""The suite: which races there are, on which databases, and one run of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from bench import TOP
from bench.create import bulk_race, create_race, profile_create
from bench.drain import GROUPED_NO_OP, NO_OP, WRITE, Kind, drain_race, grouped_race, profile_drain
from bench.machine import describe
from bench.pair import grouped_pair_race, pair_race
from bench.place import MANY, Place
from bench.postgresql import PostgreSQL
from bench.race import Race, Result, run_race
from bench.report import Report
from bench.sqlite import SQLite
from bench.steady import steady_races
from bench.tick import command_races, tick_race
from bench.waking import waking_races

RESULTS = TOP / "build/bench"

BARS = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P12", "P14")
"""What can be measured."""

PROFILES = ("P1", "P3", "P4", "P6")
"""What can be profiled."""


def run_suite(bars: list[str], rounds: int, jobs: int, tell: Callable[[str], None], *, has_peers: bool) -> Report:
    """Measure, and return what was found. Nothing is left behind but what was compiled.

    Args:
        bars: those of `BARS` that are to be measured.
        rounds: how often.
        jobs: how many are drained or made at once.
        tell: told what is being done.
        has_peers: whether other queues take part.

    Raises:
        ServerNotFound: no PostgreSQL programs on this machine.
        WorkerFailed: a measured process failed, or did not do its work.
    """
    results: list[Result] = []
    with _folder() as folder, ExitStack() as stack:
        tell(f"making databases with {jobs} jobs")
        postgresql = stack.enter_context(closing(PostgreSQL(jobs, folder)))
        sqlite = SQLite(jobs, folder)
        machine = describe(folder, postgresql.version)
        for make in _makers(bars, postgresql, sqlite, jobs, has_peers):
            with ExitStack() as held:
                results.append(run_race(make(held), rounds, tell))
    return Report(machine, {"rounds": rounds, "jobs": jobs}, results)


def run_profile(bar: str, jobs: int) -> Path:
    """Profile our own work of a bar (P6 on PostgreSQL), and return the path of the profile's text."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"profile-{bar}.txt"
    with _folder() as folder, ExitStack() as stack:
        place = SQLite(jobs, folder) if bar == "P4" else stack.enter_context(closing(PostgreSQL(jobs, folder)))
        if bar == "P6":
            profile_create(place, jobs, str(path))
        else:
            profile_drain(place, str(path), GROUPED_NO_OP if bar == "P3" else NO_OP)
    return path


def _makers(
    bars: list[str], postgresql: Place, sqlite: Place, jobs: int, has_peers: bool
) -> Iterator[Callable[[ExitStack], Race]]:
    """Return what makes each race; made when its turn comes, so that no more databases are open than needed."""
    for bar, place in (("P1", postgresql), ("P4", sqlite)):
        for kind in (NO_OP, WRITE) if bar in bars else ():
            yield partial(_drained, place, jobs, kind, has_peers)
    if "P2" in bars:
        yield lambda held: pair_race(postgresql, jobs, has_peers=has_peers)
    if "P3" in bars:
        yield lambda held: grouped_race(postgresql, MANY * jobs, has_peers=has_peers)
        yield lambda held: grouped_pair_race(postgresql, MANY * jobs, has_peers=has_peers)
    for place in (postgresql, sqlite):
        if "P5" in bars:
            yield lambda held, place=place: bulk_race(place, MANY * jobs, has_peers=has_peers)  # type: ignore[misc]
    for place in (postgresql, sqlite):
        if "P6" in bars:
            yield lambda held, place=place: create_race(place, jobs)  # type: ignore[misc]
    for place in (postgresql, sqlite):
        if "P7" in bars:
            yield lambda held, place=place: tick_race(place, held)  # type: ignore[misc]
    for place in (postgresql, sqlite):
        if "P12" in bars:
            for make in [*waking_races(place), *steady_races(place, has_peers=has_peers)]:
                yield lambda held, make=make: make()  # type: ignore[misc]
    if "P14" in bars:
        with ExitStack() as kept:
            for race in command_races(sqlite, kept):
                yield partial(_made, race)


def _made(race: Race, held: ExitStack) -> Race:
    return race


def _drained(place: Place, jobs: int, kind: Kind, has_peers: bool, held: ExitStack) -> Race:
    return drain_race(place, jobs, kind, has_peers=has_peers)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="jobcron-bench-") as name:
        yield Path(name)
