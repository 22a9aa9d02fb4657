"""Tell who wrote a row last: PostgreSQL notes on each version of a row the number of its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Executable,
    Text,
    bindparam,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.exc import DataError, NotSupportedError, ProgrammingError
from sqlalchemy.orm import Mapper

_NOTED = 2**32
"""A row has only so much of the number, which has 64 bits."""


def may_be_own(connection: Connection, mapper: Mapper[object], identity: Mapping[str, object]) -> bool:
    """Return whether the calling transaction may have written the row that it has locked; False: another one did.

    Args:
        connection: the transaction's connection.
        mapper: that of the row's class.
        identity: the parameters of `of_row`.
    """
    if connection.dialect.name != "postgresql":
        return True
    try:
        with connection.begin_nested():
            own, *written = (int(number) for number in connection.execute(_asking(mapper), identity).one())
            return any(_is_own(connection, own, number) for number in written)
    except (DataError, NotSupportedError, ProgrammingError):
        # A view or a foreign table has no such number, the role may not read it, or the server is older than 13.
        return True


def _is_own(connection: Connection, own: int, noted: int) -> bool:
    """Return whether a version was written by this transaction, whose savepoints have later numbers of their own.

    Args:
        connection: the transaction's connection.
        own: its number.
        noted: what the version has of the number of its transaction.
    """
    later = (noted - own) % _NOTED
    if later >= _NOTED // 2:  # it is earlier
        return False
    asked = text("SELECT pg_xact_status(CAST(CAST(:number AS text) AS xid8))")
    return connection.execute(asked, {"number": str(own + later)}).scalar() == "in progress"


def of_row(mapper: Mapper[object]) -> list[ColumnElement[bool]]:
    """Return the conditions under which a row is one of a class; the parameters `key_0` … are its primary key."""
    return [column == bindparam(f"key_{number}") for number, column in enumerate(mapper.primary_key)]


@cache
def _asking(mapper: Mapper[object]) -> Executable:
    """Return the statement that reads the numbers: of this transaction, and of the row in each table."""
    written = []
    for table in mapper.tables:
        number: ColumnClause[object] = ColumnClause("xmin")
        number.table = table
        written.append(number)
    numbers = select(*(cast(one, Text) for one in (func.pg_current_xact_id(), *written)))
    return numbers.select_from(mapper.persist_selectable).where(*of_row(mapper))
