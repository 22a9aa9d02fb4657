"""P2: two processes for one queue, on PostgreSQL: a section with two workers, two processes of another queue."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import psycopg2

from bench.bars import Bar, Best, Peers
from bench.drain import COMPLETED, NO_OP
from bench.instance import SECTION, write_instance
from bench.peers.contenders import GRAPHILE, PROCRASTINATES, Peer
from bench.place import EMPTY, FULL, Fresh, Place
from bench.race import Contender, Figures, Race
from bench.stopwatch import FIGURES_FILE
from bench.worker import JOBCRON, WorkerFailed, run
from jobcron.settings.database_url import libpq_url

PROCESSES = 2

PEERS = (
    replace(PROCRASTINATES[-1], name="procrastinate, 2 × 10 at a time"),
    replace(GRAPHILE, name="Graphile Worker, 2 × 10 at a time", setting=10),
)

SPAN = "SELECT count(*), extract(epoch FROM max(date_finished) - min(date_started)) FROM jobcron_job WHERE "


def pair_race(place: Place, jobs: int, *, has_peers: bool) -> Race:
    """Return the race P2: each commits for each job.

    Args:
        place: PostgreSQL.
        jobs: how many are run.
        has_peers: whether other queues take part.
    """
    contenders = [Contender("jobcron run, max_workers: 2", lambda: _by_jobcron(place, jobs))]
    bar: Bar = Peers("ahead of every peer")
    if has_peers:
        contenders += [_contender(peer, place, jobs) for peer in PEERS]
        bar = Best(tuple(peer.name for peer in PEERS), 1.0)
    return Race("P2", "run one by one, two processes", place.name, contenders, [bar])


def _by_jobcron(place: Place, jobs: int) -> Figures:
    """Let one run do it, and take the time from its first claim to its last end from the rows."""

    def work() -> Figures:
        run([JOBCRON, "run", SECTION], {"JOBCRON_CONFIG": str(config)})
        with closing(psycopg2.connect(libpq_url(fresh.url))) as connection, connection.cursor() as cursor:
            cursor.execute(SPAN + COMPLETED)
            count, seconds = cursor.fetchone() or (0, 0)
        if count != jobs:
            raise WorkerFailed(f"expected jobcron to complete {jobs} jobs, {count} are completed")
        return {"per_second": count / float(seconds)}

    with place.fresh(FULL) as fresh:
        config = write_instance(fresh.folder, fresh.url, job=NO_OP.job, own=f"max_workers: {PROCESSES}\n")
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
