"""P1, P3 and P4: draining a queue in one process, durably, by one commit for each job, or for many.

Jobs that do nothing, and jobs that change a row by the ORM; other queues beside the former.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.bars import Bar, Best, Peers, Share
from bench.instance import SECTION, write_instance
from bench.peers.contenders import BATCHED, HUEY, ONE_BY_ONE, PROCRASTINATES
from bench.peers.contenders import drains as drains_of
from bench.place import FULL, GROUPED, WRITING, Fresh, Place
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
GROUPED_NO_OP = Kind("run in groups", GROUPED, "GroupedJob", "GROUPED", 0.0)


def drain_race(place: Place, jobs: int, kind: Kind, *, has_peers: bool) -> Race:
    """Return the race: P1 on PostgreSQL, P4 on SQLite.

    Args:
        place: where.
        jobs: how many are drained.
        kind: which.
        has_peers: whether other queues take part; with jobs that do nothing only.
    """
    drains: dict[str, Drain] = {"jobcron run": by_jobcron(kind)}
    bars: list[Bar]
    if place.name == "PostgreSQL":
        drains["bare psycopg2"] = by_bare_sql("transactions", kind)
        bars = [Share("bare psycopg2", kind.least)]
        if kind is NO_OP:  # two statements of others would be two commits
            drains["bare psycopg2, autocommit"] = by_bare_sql("autocommit", kind)
            bars.append(Share("bare psycopg2, autocommit", None))
    else:
        drains["bare sqlite3"] = by_bare_sql("transactions", kind)
        bars = [Share("bare sqlite3", None)]
    contenders = [_contender(name, drain, place, jobs, kind) for name, drain in drains.items()]
    if kind is NO_OP and has_peers:
        contenders += [drains_of(peer, place, jobs) for peer in ONE_BY_ONE[place.name]]
    if kind is NO_OP:
        bars += _bars_of_peers(place.name, has_peers=has_peers)
    number = "P1" if place.name == "PostgreSQL" else "P4"
    return Race(id=number, work=kind.work, database=place.name, contenders=contenders, bars=bars)


def _bars_of_peers(database: str, *, has_peers: bool) -> list[Bar]:
    if database == "SQLite":
        return [Best((HUEY.name,), 1.0) if has_peers else Peers("ahead of Huey on SQLite")]
    if not has_peers:
        return [Peers("at least 3 × procrastinate's best")]
    own = {peer.name for peer in PROCRASTINATES}
    others = tuple(peer.name for peer in ONE_BY_ONE[database] if peer.name not in own)
    return [Best(tuple(peer.name for peer in PROCRASTINATES), 3.0), Best(others, None)]


def grouped_race(place: Place, jobs: int, *, has_peers: bool) -> Race:
    """Return the race P3, on PostgreSQL: one process each, many jobs in one transaction."""
    kind = GROUPED_NO_OP
    contenders = [_contender("jobcron run", by_jobcron(kind), place, jobs, kind)]
    bar: Bar = Peers("at least 2 × every peer's best")
    if has_peers:
        contenders += [drains_of(peer, place, jobs) for peer in BATCHED]
        bar = Best(tuple(peer.name for peer in BATCHED), 2.0)
    return Race(id="P3", work=kind.work, database=place.name, contenders=contenders, bars=[bar])


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
