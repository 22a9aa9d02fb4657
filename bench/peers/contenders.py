"""The peers as contenders: which queue, by which setting, with which promise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bench.peers.environment import NotToBeHad, node_modules, python
from bench.place import EMPTY, Fresh, Place
from bench.race import Contender, Figures
from bench.worker import WorkerFailed, run, timed

QUEUES = Path(__file__).parent / "queues"


@dataclass(frozen=True)
class Peer:
    """A queue and a setting of it.

    Attributes:
        name: in the tables.
        file: in the folder of the queues.
        setting: see the file.
    """

    name: str
    file: str
    setting: int = 1

    def command(self, what: str, fresh: Fresh, jobs: int) -> tuple[list[str], dict[str, str]]:
        """Return a command line, and what its environment needs.

        Args:
            what: "prepare", "drain" or "create".
            fresh: the database.
            jobs: how many.

        Raises:
            WorkerFailed: the peer cannot be had here.
        """
        path = QUEUES / self.file
        rest = [what, fresh.url.replace("+psycopg2", ""), str(jobs), str(self.setting)]
        try:
            if path.suffix == ".js":
                return ["node", str(path), *rest], {"NODE_PATH": node_modules()}
            return [python(), "-m", f"bench.peers.queues.{path.stem}", *rest], {}
        except NotToBeHad as error:
            raise WorkerFailed(f"{self.name} cannot be installed: {error}") from error


PROCRASTINATE = Peer("procrastinate, 1 at a time", "procrastinate_queue.py")
PGQUEUER = Peer("PGQueuer, 1 at a time", "pgqueuer_queue.py")
HUEY = Peer("Huey", "huey_queue.py")
GRAPHILE = Peer("Graphile Worker, 1 at a time", "graphile_worker.js")
PG_BOSS = Peer("pg-boss, batches of 1,000", "pg_boss.js", 1000)

PROCRASTINATES = (PROCRASTINATE, replace(PROCRASTINATE, name="procrastinate, 10 at a time", setting=10))


@dataclass(frozen=True)
class SteadyPeer:
    """A queue whose workers wait for jobs.

    Attributes:
        name: in the tables.
        prepares: the queue that makes the tables.
        file: what works, and what makes the load; in the folder of the queues.
        says: what a worker writes when it has begun.
    """

    name: str
    prepares: Peer
    file: str
    says: str

    def command(self, what: str, fresh: Fresh, *numbers: float) -> tuple[list[str], dict[str, str]]:
        """Return a command line, and what its environment needs.

        Args:
            what: "prepare", "work" or "load".
            fresh: the database.
            numbers: of the load: how many jobs, and how many in a second.

        Raises:
            WorkerFailed: the peer cannot be had here.
        """
        command, more = self.prepares.command("prepare", fresh, 0)
        if what == "prepare":
            return command, more
        program, *_ = command
        url = fresh.url.replace("+psycopg2", "")
        return [program, "-m", f"bench.peers.queues.{self.file}", what, url, *map(str, numbers)], more


STEADY = SteadyPeer("procrastinate worker", PROCRASTINATE, "procrastinate_steady", "The worker runs")
"""One job at a time in each process, as one of our workers; it listens."""

ONE_BY_ONE = {
    "PostgreSQL": (
        *PROCRASTINATES,
        PGQUEUER,
        HUEY,
        Peer("django-db-queue, without its pause", "django_db_queue.py"),
        GRAPHILE,
        replace(GRAPHILE, name="Graphile Worker, 10 at a time", setting=10),
    ),
    "SQLite": (HUEY,),
}
"""Those that commit for each job, by database. Huey deletes a task before it runs: a crash loses it."""

BATCHED = (
    replace(PGQUEUER, name="PGQueuer, batches of 100", setting=100),
    replace(GRAPHILE, name="Graphile Worker, batches of 500", setting=-500),
    PG_BOSS,
)
"""Those that commit for many jobs at once; a crash runs again what had run, since no work is in that commit."""

CREATORS = (
    replace(PROCRASTINATE, name="procrastinate"),
    replace(PGQUEUER, name="PGQueuer"),
    replace(GRAPHILE, name="Graphile Worker"),
    replace(PG_BOSS, name="pg-boss"),
)
"""Those that can create many jobs at once."""


def drains(peer: Peer, place: Place, jobs: int) -> Contender:
    """Return the peer as one who runs so many jobs, which are there already."""
    return _contender(peer, place, jobs, "drain", jobs)


def creates(peer: Peer, place: Place, jobs: int) -> Contender:
    """Return the peer as one who creates so many jobs at once."""
    return _contender(peer, place, jobs, "create", 0)


def _contender(peer: Peer, place: Place, jobs: int, what: str, prepared: int) -> Contender:
    def measure() -> Figures:
        with place.fresh(EMPTY) as fresh:
            command, more = peer.command("prepare", fresh, prepared)
            run(command, more)
            command, more = peer.command(what, fresh, jobs)
            return place.watched(fresh, jobs, lambda: timed(command, fresh.folder, jobs, more))

    return Contender(peer.name, measure, is_peer=True)
