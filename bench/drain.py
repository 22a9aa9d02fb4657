"""P1 and P4: draining a queue of no-op jobs in one process, durably, one commit for each job."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench.bars import Bar, Peers, Share
from bench.instance import SECTION, write_instance
from bench.place import FULL, Fresh, Place
from bench.profiling import PROFILE_FILE
from bench.race import Contender, Figures, Race
from bench.worker import JOBCRON, WorkerFailed, run, timed

Drain = Callable[[Fresh, int], Figures]

COMPLETED = "status = 2"


def drain_race(place: Place, jobs: int) -> Race:
    """Return the race: P1 on PostgreSQL, P4 on SQLite.

    Args:
        place: where.
        jobs: how many are drained.
    """
    drains: dict[str, Drain]
    bars: list[Bar]
    if place.name == "PostgreSQL":
        drains = {
            "jobcron run": by_jobcron,
            "bare psycopg2": by_bare_sql("transactions"),
            "bare psycopg2, autocommit": by_bare_sql("autocommit"),
        }
        bars = [
            Share("bare psycopg2", 0.8),
            Share("bare psycopg2, autocommit", None),
            Peers("at least 3 × procrastinate's best"),
        ]
    else:
        drains = {"jobcron run": by_jobcron, "bare sqlite3": by_bare_sql("transactions")}
        bars = [Share("bare sqlite3", None), Peers("ahead of Huey on SQLite")]
    return Race(
        id="P1" if place.name == "PostgreSQL" else "P4",
        work="run one by one",
        database=place.name,
        contenders=[_contender(name, drain, place, jobs) for name, drain in drains.items()],
        bars=bars,
    )


def _contender(name: str, drain: Drain, place: Place, jobs: int) -> Contender:
    def measure() -> Figures:
        with place.fresh(FULL) as fresh:
            figures = place.watched(fresh, jobs, lambda: drain(fresh, jobs))
            done = place.count(fresh, "jobcron_job", COMPLETED)
        if done != jobs:
            raise WorkerFailed(f"expected {name} to complete {jobs} jobs, {done} are completed")
        return figures

    def inspect() -> Figures:
        with place.fresh(FULL) as fresh:
            sent = place.round_trips(fresh, lambda: drain(fresh, jobs))
        return {} if sent is None else {"round_trips": sent / jobs}

    return Contender(name, measure, inspect)


def by_jobcron(fresh: Fresh, jobs: int) -> Figures:
    """Drain by ``jobcron run``, as cron starts it."""
    config = write_instance(fresh.folder, fresh.url, "bench.runners.TimedRunner")
    return timed([JOBCRON, "run", SECTION], fresh.folder, jobs, {"JOBCRON_CONFIG": str(config)})


def by_bare_sql(mode: str) -> Drain:
    """Return a drain that sends the same statements from a bare driver.

    Args:
        mode: "transactions": BEGIN and COMMIT are sent, as SQLAlchemy does; "autocommit": they are not.
    """

    def drain(fresh: Fresh, jobs: int) -> Figures:
        command = [sys.executable, "-m", "bench.floors.drain", fresh.url, mode]
        return timed(command, fresh.folder, jobs)

    return drain


def profile_drain(place: Place, path: str) -> None:
    """Write where a run of ``jobcron run`` spends its time to the file `path`."""
    with place.fresh(FULL) as fresh:
        config = write_instance(fresh.folder, fresh.url, "bench.runners.ProfiledRunner")
        run([JOBCRON, "run", SECTION], {"JOBCRON_CONFIG": str(config), PROFILE_FILE: path})
