"""P1 and P4: draining a queue in one process, durably, one commit for each job.

Jobs that do nothing, and jobs that change a row by the ORM.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.bars import Bar, Peers, Share
from bench.instance import SECTION, write_instance
from bench.place import FULL, WRITING, Fresh, Place
from bench.profiling import PROFILE_FILE
from bench.race import Contender, Figures, Race
from bench.worker import JOBCRON, WorkerFailed, run, timed

Drain = Callable[[Fresh, int], Figures]

COMPLETED = "status = 2"


@dataclass(frozen=True)
class Kind:
    """A kind of jobs that are drained.

    Attributes:
        work: what is done, for the tables.
        template: the databases that have them.
        job: their class.
        type_name: the name of their type.
        least: the wanted share of the bare driver's rate on PostgreSQL.
    """

    work: str
    template: str
    job: str
    type_name: str
    least: float


NO_OP = Kind("run one by one", FULL, "NoOpJob", "NO_OP", 1.0)
WRITE = Kind("run one by one, each changes a row", WRITING, "WriteJob", "WRITE", 0.6)


def drain_race(place: Place, jobs: int, kind: Kind) -> Race:
    """Return the race: P1 on PostgreSQL, P4 on SQLite.

    Args:
        place: where.
        jobs: how many are drained.
        kind: which.
    """
    drains: dict[str, Drain]
    bars: list[Bar]
    if place.name == "PostgreSQL":
        drains = {
            "jobcron run": by_jobcron(kind),
            "bare psycopg2": by_bare_sql("transactions", kind),
            "bare psycopg2, autocommit": by_bare_sql("autocommit", kind),
        }
        bars = [Share("bare psycopg2", kind.least), Share("bare psycopg2, autocommit", None)]
        if kind is NO_OP:
            bars.append(Peers("at least 3 × procrastinate's best"))
        else:
            del drains["bare psycopg2, autocommit"], bars[1]  # its two statements would be two commits
    else:
        drains = {"jobcron run": by_jobcron(kind), "bare sqlite3": by_bare_sql("transactions", kind)}
        bars = [Share("bare sqlite3", None)]
        if kind is NO_OP:
            bars.append(Peers("ahead of Huey on SQLite"))
    return Race(
        id="P1" if place.name == "PostgreSQL" else "P4",
        work=kind.work,
        database=place.name,
        contenders=[_contender(name, drain, place, jobs, kind) for name, drain in drains.items()],
        bars=bars,
    )


def _contender(name: str, drain: Drain, place: Place, jobs: int, kind: Kind) -> Contender:
    def measure() -> Figures:
        with place.fresh(kind.template) as fresh:
            figures = place.watched(fresh, jobs, lambda: drain(fresh, jobs))
            done = place.count(fresh, "jobcron_job", COMPLETED)
        if done != jobs:
            raise WorkerFailed(f"expected {name} to complete {jobs} jobs, {done} are completed")
        return figures

    def inspect() -> Figures:
        with place.fresh(kind.template) as fresh:
            sent = place.round_trips(fresh, lambda: drain(fresh, jobs))
        return {} if sent is None else {"round_trips": sent / jobs}

    return Contender(name, measure, inspect)


def by_jobcron(kind: Kind) -> Drain:
    """Return the drain by ``jobcron run``, as cron starts it."""

    def drain(fresh: Fresh, jobs: int) -> Figures:
        config = write_instance(fresh.folder, fresh.url, "bench.runners.TimedRunner", job=kind.job)
        return timed([JOBCRON, "run", SECTION], fresh.folder, jobs, {"JOBCRON_CONFIG": str(config)})

    return drain


def by_bare_sql(mode: str, kind: Kind) -> Drain:
    """Return a drain that sends the same statements from a bare driver.

    Args:
        mode: "transactions": BEGIN and COMMIT are sent, as SQLAlchemy does; "autocommit": they are not.
        kind: of the jobs.
    """

    def drain(fresh: Fresh, jobs: int) -> Figures:
        command = [sys.executable, "-m", "bench.floors.drain", fresh.url, mode, kind.type_name]
        return timed(command, fresh.folder, jobs)

    return drain


def profile_drain(place: Place, path: str, kind: Kind = NO_OP) -> None:
    """Write where a run of ``jobcron run`` spends its time to the file `path`."""
    with place.fresh(kind.template) as fresh:
        config = write_instance(fresh.folder, fresh.url, "bench.runners.ProfiledRunner", job=kind.job)
        run([JOBCRON, "run", SECTION], {"JOBCRON_CONFIG": str(config), PROFILE_FILE: path})
