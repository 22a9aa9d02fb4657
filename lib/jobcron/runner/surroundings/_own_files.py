"""The run's own open files: pooled connections to databases, and the log. They may be opened during a job."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import Protocol, runtime_checkable
from weakref import WeakSet

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from jobcron.reports.logs import LogFile


@runtime_checkable
class _Connection(Protocol):
    """A connection of a database driver that uses a socket."""

    def fileno(self) -> int: ...


_pooled: WeakSet[_Connection] = WeakSet()


def _note(connection: object, record: object) -> None:
    if isinstance(connection, _Connection):  # SQLite's has no descriptor
        with suppress(TypeError):  # a driver's connections that nothing can refer to weakly
            _pooled.add(connection)


event.listen(Pool, "connect", _note)  # of all engines, the application's too


def own_files(engine: Engine | None) -> tuple[set[int], tuple[str, ...]]:
    """Return the descriptors of pooled connections, and the beginnings of paths: SQLite's files and the log.

    Args:
        engine: of the jobs' database.
    """
    numbers = set()
    for connection in list(_pooled):
        with suppress(Exception):  # it is closed
            numbers.add(connection.fileno())
    paths = [handler.path for handler in logging.getLogger().handlers if isinstance(handler, LogFile)]
    if engine is not None and engine.dialect.name == "sqlite" and engine.url.database:
        paths.append(os.path.abspath(engine.url.database))
    return numbers, (os.devnull, *paths)  # a standard stream that failed leads to the first
