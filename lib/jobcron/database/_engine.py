"""Create engines: open SQLite and PostgreSQL, and configure their connections."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, create_engine, event

from jobcron.database.connection_options import CONNECT_ARGUMENTS, SERVERS_END
from jobcron.database.transactions import BUSY_SECONDS, prepare_engine
from jobcron.database.trouble import mark_interruption
from jobcron.settings.sqlalchemy_url import parse_url


def make_engine(url: str, user: str | None = None, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Create an engine with our settings for the database.

    Args:
        url: the database's URL.
        user: connect as this role instead of the URL's.
        busy_seconds: how long a statement waits for SQLite's write lock, in seconds.

    Raises:
        ConfigurationError: see `parse_url`.
    """
    parsed = parse_url(url, user)
    # hide_parameters: the text of an SQL error reaches logs and reports; a job's data must not.
    options: dict[str, Any] = {"hide_parameters": True}
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": busy_seconds}, **options)
        event.listen(engine, "do_connect", _make_private)
        event.listen(engine, "connect", _set_up_sqlite)
        prepare_engine(engine, busy_seconds)
    else:
        arguments = {"application_name": "jobcron", **CONNECT_ARGUMENTS}
        engine = create_engine(
            parsed,
            isolation_level="READ COMMITTED",
            pool_size=2,
            connect_args={k: v for k, v in arguments.items() if k not in parsed.query},
            **options,
        )
        event.listen(engine, "connect", _set_up_postgresql)
    event.listen(engine, "handle_error", mark_interruption)
    return engine


def _make_private(dialect: object, record: object, arguments: list[Any], keywords: object) -> None:
    """Create the database's file, if there is none, for its user alone: SQLite leaves that to the umask."""
    path = str(arguments[0])
    if path and not path.startswith((":", "file:")):
        with suppress(OSError):  # it exists; or SQLite will say why it cannot be created
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def _set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _set_up_postgresql(connection: Any, record: object) -> None:
    autocommit, connection.autocommit = connection.autocommit, True  # one round trip
    with connection.cursor() as cursor:
        cursor.execute(SERVERS_END)
    connection.autocommit = autocommit
