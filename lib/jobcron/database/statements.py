"""Execute the statements of `jobcron.database.sql`, and limit how long a short transaction can wait."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, TextClause, text
from sqlalchemy.dialects import postgresql, sqlite

from jobcron.database.sql import statement

STOPPED_SECONDS = 10.0
"""Seconds that the server waits for the next statement of a short transaction whose process is stopped."""

AnyInsert = postgresql.Insert | sqlite.Insert
"""Both databases have INSERT … ON CONFLICT, SQLAlchemy only for each by itself."""


def be_brief(connection: Connection, seconds: float) -> None:
    """Limit how long this short transaction waits for a lock, in seconds, and how long it can stay idle.

    The server ends it if its process is stopped in the middle. On SQLite its only lock is taken when it begins.
    """
    if connection.dialect.name == "postgresql":
        # LOCAL: behind pgbouncer the next transaction may be another client's.
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
    """Execute a statement of `jobcron.database.sql`, once for each set of parameters."""
    return connection.execute(_clause(name, connection.dialect.name), parameters)


def insert_into(table: Any, connection: Connection) -> AnyInsert:
    """Return an INSERT that can be told what to do on a conflict, by ``on_conflict_do_update`` or ``…_nothing``.

    Args:
        table: a table or a mapped class.
        connection: for whose database the statement is.
    """
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
