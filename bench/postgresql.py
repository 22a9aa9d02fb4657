"""A private PostgreSQL server for the benchmarks, over TCP, with its default, durable settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from bench.application import fill, fill_grouped, fill_writing, make_tables
from bench.place import EMPTY, FULL, GROUPED, MANY, WRITING, Fresh
from bench.processes import cpu_seconds_of_tree
from bench.race import Figures
from jobcron import Database
from jobcron.testing.server import PrivatePostgreSQL

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

PREFIX = "%d|"
"""What begins a line of the server's log: the database's name."""

WAIT_SECONDS = 10.0

TRIES = 3

ROWS_LEFT_DEAD = "SELECT coalesce(sum(n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables"


class NotDurable(RuntimeError):
    """The server would lose commits: its figures would mean nothing."""


class PostgreSQL:
    """Makes databases on a server of its own.

    Args:
        jobs: how many the full template has.
        folder: for the measurements' files.

    Raises:
        ServerNotFound: no PostgreSQL programs on this machine.
        NotDurable: the server's settings are not durable.
    """

    name = "PostgreSQL"

    def __init__(self, jobs: int, folder: Path) -> None:
        self._folder = folder / self.name
        self._folder.mkdir()
        self._number = 0
        self._server = PrivatePostgreSQL(settings={"log_line_prefix": PREFIX})
        try:
            self._server.start()
            self._check_durable()
            self._make_templates(jobs)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the server and remove its files."""
        self._server.close()

    @property
    def version(self) -> str:
        """The server's version."""
        return str(self._ask("postgres", "SHOW server_version")).partition(" ")[0]

    @contextmanager
    def fresh(self, template: str) -> Iterator[Fresh]:
        """See `Place`."""
        self._number += 1
        name = f"bench_{self._number}"
        folder = self._folder / name
        folder.mkdir()
        self._server.create_database(name, template)
        self._do(name, "CHECKPOINT")  # so that each contender pays for the same full pages in the WAL
        try:
            yield Fresh(self._server.tcp_url(name), folder)
        finally:
            self._server.drop_database(name)

    def watched(self, fresh: Fresh, jobs: int, work: Callable[[], Figures]) -> Figures:
        """See `Place`. The work's own start is in the server's figures: a few statements among thousands."""
        before = self._counters(fresh)
        figures = work()
        self._wait_until_alone(fresh)
        after = self._counters(fresh)
        return {**figures, **{name: (after[name] - before[name]) / jobs for name in after}}

    def round_trips(self, fresh: Fresh, work: Callable[[], object]) -> int:
        """See `Place`. The clients use no pipeline and no prepared statements: a statement is a round trip."""
        return len(self.statements(fresh, work))

    def statements(self, fresh: Fresh, work: Callable[[], object]) -> list[str]:
        """Do the work, and return the statements that reached the server, in order."""
        name = fresh.folder.name
        self._do(name, f"ALTER DATABASE {name} SET log_statement = 'all'")
        log = self._server.directory / "log"
        length = log.stat().st_size
        work()
        self._wait_until_alone(fresh)
        self._do("postgres", f"ALTER DATABASE {name} RESET log_statement")
        mark = f"{name}|LOG:  statement: "
        lines = log.read_bytes()[length:].decode(errors="replace").splitlines()
        return [line.removeprefix(mark) for line in lines if line.startswith(mark)]

    def disturbance(self, fresh: Fresh, work: Callable[[], object]) -> Figures:
        """See `Place`: statements, and bytes of WAL."""
        written = []
        for _ in range(TRIES):  # the server writes some of its own, now and then
            before = self._wal_bytes()
            work()
            written.append(self._wal_bytes() - before)
        return {"statements": self.round_trips(fresh, work), "wal_bytes": min(written)}

    def count(self, fresh: Fresh, table: str, condition: str = "TRUE") -> int:
        """See `Place`."""
        return int(self._ask(fresh.folder.name, f"SELECT count(*) FROM {table} WHERE {condition}"))

    def _wal_bytes(self) -> int:
        """Return how many bytes of WAL the server has written."""
        return int(self._ask("postgres", "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def _check_durable(self) -> None:
        for setting, wanted in DURABLE.items():
            found = self._ask("postgres", f"SHOW {setting}")
            if found != wanted:
                raise NotDurable(f"expected the server's {setting} to be {wanted}, found {found}")

    def _make_templates(self, jobs: int) -> None:
        for name in (EMPTY, FULL, WRITING, GROUPED):
            self._server.create_database(name)
            database = Database(self._server.tcp_url(name))
            make_tables(database)
            if name == FULL:
                fill(database, jobs)
            elif name == WRITING:
                fill_writing(database, jobs)
            elif name == GROUPED:
                fill_grouped(database, MANY * jobs)
            database.close()
            self._do(name, "VACUUM (ANALYZE)")

    def _counters(self, fresh: Fresh) -> Figures:
        name = fresh.folder.name
        commits = self._ask("postgres", f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{name}'")
        counters = {
            "wal_bytes": float(self._wal_bytes()),
            "commits": float(commits),
            "dead_rows": float(self._ask(name, ROWS_LEFT_DEAD)),
        }
        postmaster = int((self._server.directory / "data/postmaster.pid").read_text().split()[0])
        cpu = cpu_seconds_of_tree(postmaster)
        if cpu is not None:
            counters["server_cpu_ms"] = cpu * 1000
        return counters

    def _wait_until_alone(self, fresh: Fresh) -> None:
        """Wait for the end of the work's server processes: they publish their statistics when they end."""
        busy = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{fresh.folder.name}'"
        deadline = time.monotonic() + WAIT_SECONDS
        while self._ask("postgres", busy) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _ask(self, database: str, query: str) -> Any:
        rows = self._do(database, query)
        return rows[0][0]

    def _do(self, database: str, statement: str) -> Any:
        connection = psycopg2.connect(self._server.url(database).replace("+psycopg2", ""))
        try:
            connection.autocommit = True  # CHECKPOINT, VACUUM
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()
