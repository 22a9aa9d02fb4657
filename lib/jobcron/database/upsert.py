"""INSERT … ON CONFLICT: both databases have it; SQLAlchemy has it only per dialect."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

AnyInsert = postgresql.Insert | sqlite.Insert


def insert_into(table: Any, connection: Connection) -> AnyInsert:
    """Return an INSERT with the methods ``on_conflict_do_update`` and ``on_conflict_do_nothing``.

    Args:
        table: a table or a mapped class.
        connection: a connection to the database that the statement is for.
    """
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
