"""P8: how long a claim and a tick take as the table grows, beside the same in a small one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import psycopg2
from sqlalchemy import Connection, text

from bench.application import NoOpJob, make_tables
from bench.scale_application import CountedJob
from jobcron import Database
from jobcron.queue.claim import Claimant
from jobcron.queue.tick import Tick
from jobcron.queue.type_feed import Line as JobLine
from jobcron.settings.database_url import libpq_url
from jobcron.testing.server import PrivatePostgreSQL

CLAIMS = 400
"""How many jobs are claimed one by one in each scene."""

TICKS = 20

READY = 10_000

PRIORITIES = 300_000

MOST = 2.0

OTHER = "bench.OTHER"
"""The type of jobs that stand aside."""

TYPE = "(SELECT id FROM jobcron_type WHERE name = '{name}')"

COLUMNS = "uuid, type, json_data, status, priority, scheduled_start, date_finished"

INSERT = {
    "postgresql": f"INSERT INTO jobcron_job ({COLUMNS}) "
    "SELECT gen_random_uuid(), {type}, '{{}}', {status}, {priority}, {start}, {finished} "
    "FROM generate_series(1, {rows}) AS n",
    "sqlite": "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) "
    f"INSERT INTO jobcron_job ({COLUMNS}) "
    "SELECT lower(hex(randomblob(16))), {type}, '{{}}', {status}, {priority}, {start}, {finished} FROM s",
}

TIMES = {
    "postgresql": "statement_timestamp() + make_interval(secs => {0})",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '{0} seconds')",
}


class Line(NamedTuple):
    """A line of the table of results."""

    bar: str
    what: str
    figures: str
    measured: str
    wanted: str
    is_met: bool

    def __str__(self) -> str:
        """Return it as Markdown."""
        verdict = "met" if self.is_met else "missed"
        return f"| {self.bar} | {self.what} | {self.figures} | {self.measured} | {self.wanted} | {verdict} |"


class Times(NamedTuple):
    """Milliseconds of claims and of ticks."""

    claims: list[float]
    ticks: list[float]

    def found(self) -> dict[str, tuple[float, float]]:
        """Return by name what is judged, and beside it what other work on the machine disturbs less."""
        p99 = quantiles(self.claims, n=100, method="inclusive")[98]
        # There are few ticks, so their median is judged.
        return {"claim, p99": (p99, median(self.claims)), "tick, median": (median(self.ticks), min(self.ticks))}


class Scene:
    """A database with jobs that stand in the way."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)

    def make(self) -> None:
        """Make the tables, and the types of the jobs."""
        make_tables(self.database)
        for name in (OTHER, NoOpJob.type_name, CountedJob.type_name):
            self.do(f"INSERT INTO jobcron_type (name) VALUES ('{name}') ON CONFLICT DO NOTHING")

    def put(
        self, rows: int, name: str = "", status: int = 0, priority: str = "10", seconds: float = -3600
    ) -> None:
        """Put jobs into the table.

        Args:
            rows: how many.
            name: their type; by default that of the jobs that are claimed.
            status: their status.
            priority: their priority, in SQL of the row's number n.
            seconds: when they are due, from now.
        """
        dialect = self.database.dialect
        kind, start = TYPE.format(name=name or NoOpJob.type_name), TIMES[dialect].format(seconds)
        finished = "NULL" if status == 0 else TIMES[dialect].format(0)
        values = {"type": kind, "status": status, "priority": priority, "start": start, "finished": finished}
        self.do(INSERT[dialect].format(rows=rows, **values))

    def do(self, statement: str) -> None:
        """Execute a statement."""
        with self.database.begin() as connection:
            connection.execute(text(statement.replace(":", "\\:")))

    def settle(self) -> None:
        """Bring the statistics up to date."""
        with closing(self.database.engine.raw_connection()) as raw:
            if self.database.dialect == "postgresql":
                raw.driver_connection.autocommit = True  # type: ignore[union-attr]
            raw.cursor().execute(
                "VACUUM ANALYZE jobcron_job" if self.database.dialect == "postgresql" else "ANALYZE"
            )
            if self.database.dialect == "postgresql":
                raw.driver_connection.autocommit = False  # type: ignore[union-attr]

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def measure(self) -> Times:
        """Claim jobs one by one, each in its own transaction, and tick."""
        with self.database.begin(writing=False) as connection:
            number = connection.scalar(text(f"SELECT id FROM jobcron_type WHERE name = '{NoOpJob.type_name}'"))
        line = JobLine(number, Claimant("bench", 300.0))

        def claim(connection: Connection) -> None:
            if not line.claim(connection, 1):
                raise SystemExit("bench: expected a job to be ready, found none")

        claims = [self._timed(claim) for _ in range(CLAIMS)]
        tick = Tick(self.url, None, 1e9)
        with closing(tick):
            ticks = [_milliseconds(lambda: tick.with_work({"no_op": NoOpJob.type_name}, {})) for _ in range(TICKS)]
        return Times(claims, ticks[1:])

    def _timed(self, work: Callable[[Connection], object]) -> float:
        with self.database.begin() as connection:
            connection.execute(text("SELECT 1"))
            return _milliseconds(lambda: work(connection))


def _measured_afresh(url: str) -> Times:
    """Measure in a process of its own: what the heap of this one looks like by now would be measured as well."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_measure, url).result()


def _measure(url: str) -> Times:
    with closing(Scene(url)) as scene:
        return scene.measure()


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _processed(scene: Scene, rows: int) -> None:
    """Process jobs as runs do, in groups: each has been RUNNING, and is COMPLETED."""
    last = 0
    for _ in range(rows // 1000):
        with scene.database.begin() as connection:
            last = connection.scalar(
                text(
                    "WITH b AS (SELECT id FROM jobcron_job "
                    "WHERE status = 0 AND id > :last ORDER BY id LIMIT 1000), "
                    "u AS (UPDATE jobcron_job AS j SET status = 1, lease_token = 1, date_started = now(), "
                    "lease_expires = now() + interval '1 hour' FROM b WHERE j.id = b.id RETURNING j.id) "
                    "SELECT max(id) FROM u"
                ),
                {"last": last},
            )
        scene.do("UPDATE jobcron_job SET status = 2, date_finished = now(), lease_expires = NULL WHERE status = 1")


def lines(folder: Path, rows: int) -> Iterator[Line]:
    """Measure each scene on both databases, and yield what it took beside the first scene."""
    with PrivatePostgreSQL(settings={"max_wal_size": "4GB"}) as server:
        for dialect in ("PostgreSQL", "SQLite"):
            base: dict[str, tuple[float, float]] = {}
            for number, (what, prepare) in enumerate(_scenes(rows).items()):
                if dialect == "SQLite" and prepare is _open_transaction:
                    continue  # it keeps no entries of rows that were changed
                if dialect == "PostgreSQL":
                    server.create_database(f"scale{number}")
                url = (
                    server.tcp_url(f"scale{number}")
                    if dialect == "PostgreSQL"
                    else f"sqlite:///{folder}/{number}.db"
                )
                scene = Scene(url)
                scene.make()
                with prepare(scene, rows):
                    found = _measured_afresh(url).found()
                scene.close()
                base = base or found
                for name, (took, calm) in found.items():
                    yield _judged(f"{name}: {what}, {dialect}", took, calm, *base[name])


def _judged(what: str, took: float, calm: float, small: float, small_calm: float) -> Line:
    """Return the line of a scene beside the small table's: what is judged, and a figure that is calmer."""
    ratio, calmer = took / small, calm / small_calm
    other = "median" if "p99" in what else "least"
    figures = f"{took:.2f} ms beside {small:.2f} ms; {other} {calm:.2f} beside {small_calm:.2f}, {calmer:.1f} ×"
    return Line("P8", what, figures, f"{ratio:.1f} ×", f"≤ {MOST:g} ×", ratio <= MOST)


Prepare = Callable[[Scene, int], Any]


def _scenes(rows: int) -> dict[str, Prepare]:
    return {
        f"{READY:,} ready": _of(lambda scene, rows: None),
        f"{rows:,} finished": _of(lambda scene, rows: scene.put(rows, status=2)),
        f"{rows:,} ready of another type": _of(lambda scene, rows: scene.put(rows, name=OTHER)),
        f"{rows:,} of a better priority, not due": _of(
            lambda scene, rows: scene.put(rows, priority="5", seconds=1e6)
        ),
        f"{PRIORITIES:,} priorities, not due": _of(
            lambda scene, rows: scene.put(PRIORITIES, priority=f"n - {PRIORITIES}", seconds=1e6)
        ),
        f"a transaction open elsewhere, {rows:,} processed since": _open_transaction,
    }


def _of(more: Callable[[Scene, int], None]) -> Prepare:
    @contextmanager
    def prepare(scene: Scene, rows: int) -> Iterator[None]:
        more(scene, rows)
        scene.put(READY)
        scene.settle()
        yield

    return prepare


@contextmanager
def _open_transaction(scene: Scene, rows: int) -> Iterator[None]:
    scene.put(rows + READY)
    scene.settle()
    with closing(psycopg2.connect(libpq_url(scene.url))) as other:
        other.set_session(isolation_level="REPEATABLE READ")
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM jobcron_type")
            _processed(scene, rows)
            yield
