"""INSERT … ON CONFLICT: both databases have it, SQLAlchemy only for each by itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

AnyInsert = postgresql.Insert | sqlite.Insert


def insert_into(table: Any, connection: Connection) -> AnyInsert:
    """Return an INSERT that can be told what to do on a conflict, by ``on_conflict_do_update`` or ``…_nothing``.

    Args:
        table: a table or a mapped class.
        connection: for whose database the statement is.
    """
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
