"""Rows that are numbered as time goes by: from which number on they are of a span of time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, SQLColumnExpression, func, select

from jobcron.database.tables import Event, Run


def first_since(
    connection: Connection,
    table: type[Run] | type[Event],
    moment: SQLColumnExpression[datetime],
    since: datetime,
    most: int,
) -> int:
    """Return from which number on the rows of a table are of a time or later, `most` of the newest at most.

    No index has the times. They grow with the numbers, which are searched by halves: some twenty rows are read,
    however many there are.

    Args:
        connection: a connection; it is only read.
        table: the table.
        moment: the column that grows with the numbers.
        since: the time.
        most: how many numbers are looked at.
    """
    newest = connection.scalar(select(func.max(table.id))) or 0
    low, high = max(1, newest - most + 1), newest + 1
    while low < high:
        middle = (low + high) // 2
        found = select(table.id, moment).where(table.id >= middle).order_by(table.id).limit(1)
        row = connection.execute(found).first()
        if row is None or row[1] >= since:
            high = middle
        else:
            low = row[0] + 1
    return low
