"""P2, and P3 in two processes, on PostgreSQL: a section with two workers, two processes of another queue."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import psycopg2

from bench.bars import Bar, Best, Peers
from bench.drain import COMPLETED, GROUPED_NO_OP, NO_OP, Kind
from bench.instance import SECTION, write_instance
from bench.peers.contenders import GRAPHILE, PGQUEUER, PROCRASTINATES, Peer
from bench.place import EMPTY, Fresh, Place
from bench.race import Contender, Figures, Race
from bench.stopwatch import FIGURES_FILE
from bench.worker import JOBCRON, WorkerFailed, run
from jobcron.settings.database_url import libpq_url

PROCESSES = 2

PEERS = (
    replace(PROCRASTINATES[-1], name="procrastinate, 2 × 10 at a time"),
    replace(GRAPHILE, name="Graphile Worker, 2 × 10 at a time", setting=10),
)

BATCHED = (
    replace(PGQUEUER, name="PGQueuer, 2 × batches of 100", setting=100),
    replace(GRAPHILE, name="Graphile Worker, 2 × batches of 500", setting=-500),
)

SPAN = "SELECT count(*), extract(epoch FROM max(date_finished) - min(date_started)) FROM jobcron_job WHERE "


def pair_race(place: Place, jobs: int, *, has_peers: bool) -> Race:
    """Return the race P2: each commits for each job.

    Args:
        place: PostgreSQL.
        jobs: how many are run.
        has_peers: whether other queues take part.
    """
    bar = Best(tuple(peer.name for peer in PEERS), 1.0) if has_peers else Peers("ahead of every peer")
    return _race("P2", NO_OP, place, jobs, PEERS if has_peers else (), bar)


def grouped_pair_race(place: Place, jobs: int, *, has_peers: bool) -> Race:
    """Return the race P3 in two processes: each commits for many jobs.

    Args: as for `pair_race`.
    """
    bar = Best(tuple(peer.name for peer in BATCHED), 2.0) if has_peers else Peers("at least 2 × every peer's best")
    return _race("P3", GROUPED_NO_OP, place, jobs, BATCHED if has_peers else (), bar)


def _race(number: str, kind: Kind, place: Place, jobs: int, peers: tuple[Peer, ...], bar: Bar) -> Race:
    contenders = [Contender("jobcron run, max_workers: 2", lambda: _by_jobcron(place, jobs, kind))]
    contenders += [_contender(peer, place, jobs) for peer in peers]
    return Race(number, f"{kind.work}, two processes", place.name, contenders, [bar])


def _by_jobcron(place: Place, jobs: int, kind: Kind) -> Figures:
    """Let one run do it, and take the time from its first claim to its last end from the rows."""

    def work() -> Figures:
        run([JOBCRON, "run", SECTION], {"JOBCRON_CONFIG": str(config)})
        with closing(psycopg2.connect(libpq_url(fresh.url))) as connection, connection.cursor() as cursor:
            cursor.execute(SPAN + COMPLETED)
            count, seconds = cursor.fetchone() or (0, 0)
        if count != jobs:
            raise WorkerFailed(f"expected jobcron to complete {jobs} jobs, {count} are completed")
        return {"per_second": count / float(seconds)}

    with place.fresh(kind.template) as fresh:
        config = write_instance(fresh.folder, fresh.url, job=kind.job, own=f"max_workers: {PROCESSES}\n")
        return place.watched(fresh, jobs, work)


def _contender(peer: Peer, place: Place, jobs: int) -> Contender:
    def measure() -> Figures:
        with place.fresh(EMPTY) as fresh:
            command, more = peer.command("prepare", fresh, jobs)
            run(command, more)
            return place.watched(fresh, jobs, lambda: _shared(peer, fresh, jobs))

    return Contender(peer.name, measure, is_peer=True)


def _shared(peer: Peer, fresh: Fresh, jobs: int) -> Figures:
    """Let processes of a queue run until nothing is left; the time is that of the one that took longest."""
    command, more = peer.command("share", fresh, jobs)
    files = [fresh.folder / f"figures{number}.json" for number in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(lambda file: run(command, {FIGURES_FILE: str(file), **more}), files))
    told = [json.loads(file.read_text()) for file in files]
    if (done := sum(each["jobs"] for each in told)) != jobs:
        raise WorkerFailed(f"expected {peer.name} to do {jobs} jobs, it did {done}")
    cpu = sum(each["cpu_seconds"] for each in told)
    return {"per_second": jobs / max(each["seconds"] for each in told), "cpu_ms": cpu / jobs * 1000}
