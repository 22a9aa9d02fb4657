"""Execute the statements of `jobcron.database.sql`, and bound how long one may stand still."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, TextClause, text
from sqlalchemy.dialects import postgresql, sqlite

from jobcron.database.sql import statement

STOPPED_SECONDS = 10.0
"""How long the server waits for the next statement of a short transaction of ours, whose process was stopped."""

AnyInsert = postgresql.Insert | sqlite.Insert
"""Both databases have INSERT … ON CONFLICT, SQLAlchemy only for each by itself."""


def be_brief(connection: Connection, seconds: float) -> None:
    """Let this transaction of our own wait at most so long for a lock, and keep nothing locked for long.

    The server ends it where its process is stopped in the middle. SQLite's one lock is taken when it begins.
    """
    if connection.dialect.name == "postgresql":
        # LOCAL: behind a pgbouncer the next transaction may be another client's.
        connection.exec_driver_sql(
            f"SET LOCAL lock_timeout = {seconds * 1000:.0f}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {STOPPED_SECONDS * 1000:.0f}"
        )


@cache
def _clause(name: str, dialect: str) -> TextClause:
    return text(statement(name, dialect))


def execute(
    connection: Connection, name: str, parameters: dict[str, Any] | list[dict[str, Any]]
) -> CursorResult[Any]:
    """Execute one of the statements of `jobcron.database.sql`, once for each set of parameters."""
    return connection.execute(_clause(name, connection.dialect.name), parameters)


def insert_into(table: Any, connection: Connection) -> AnyInsert:
    """Return an INSERT that can be told what to do on a conflict, by ``on_conflict_do_update`` or ``…_nothing``.

    Args:
        table: a table or a mapped class.
        connection: for whose database the statement is.
    """
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
