"""SQLite databases for the benchmarks: WAL, synchronous=FULL, each a copy of a template."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.application import fill, fill_writing, make_tables
from bench.place import EMPTY, FULL, WRITING, Fresh
from bench.race import Figures
from jobcron import Database


class SQLite:
    """Makes databases in a folder.

    Args:
        jobs: how many the full template has.
        folder: for templates and databases.
    """

    name = "SQLite"

    def __init__(self, jobs: int, folder: Path) -> None:
        self._folder = folder / self.name
        self._folder.mkdir()
        self._number = 0
        for name in (EMPTY, FULL, WRITING):
            database = Database(f"sqlite:///{self._template(name)}")
            make_tables(database)
            if name == FULL:
                fill(database, jobs)
            elif name == WRITING:
                fill_writing(database, jobs)
            database.close()
            with closing(sqlite3.connect(self._template(name))) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def fresh(self, template: str) -> Iterator[Fresh]:
        """See `Place`."""
        self._number += 1
        folder = self._folder / f"bench_{self._number}"
        folder.mkdir()
        path = folder / "bench.db"
        shutil.copy(self._template(template), path)
        try:
            yield Fresh(f"sqlite:///{path}", folder)
        finally:
            shutil.rmtree(folder)

    def watched(self, fresh: Fresh, jobs: int, work: Callable[[], Figures]) -> Figures:
        """See `Place`: there is no server."""
        return work()

    def round_trips(self, fresh: Fresh, work: Callable[[], object]) -> None:
        """See `Place`: there is no server."""

    def disturbance(self, fresh: Fresh, work: Callable[[], object]) -> Figures:
        """See `Place`: whether the file is another one, byte for byte, or something is in the WAL."""
        before = self._contents(fresh)
        work()
        return {"file_changes": float(self._contents(fresh) != before)}

    def count(self, fresh: Fresh, table: str, condition: str = "TRUE") -> int:
        """See `Place`."""
        with closing(sqlite3.connect(fresh.folder / "bench.db")) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0])

    def _template(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    @staticmethod
    def _contents(fresh: Fresh) -> list[bytes]:
        database, wal = (fresh.folder / name for name in ("bench.db", "bench.db-wal"))
        return [path.read_bytes() if path.exists() else b"" for path in (database, wal)]
