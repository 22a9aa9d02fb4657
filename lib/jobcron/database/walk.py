"""Walk a table by its numbers, which grow with time.

An index would only help the removal of old rows, and every job that ends would pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Row, SQLColumnExpression, select

from jobcron.database.database import Database

# why: decisions 2026-11-24, pruning walks the tables
WINDOW = 1000
"""How many rows are read in one transaction."""


WalkedRow = Row[Any]
"""A row of a walked table: its ``id``, and the columns that the caller reads, by their names."""


def windows(
    database: Database,
    number: SQLColumnExpression[int],
    columns: Sequence[SQLColumnExpression[object]],
    is_old: Callable[[WalkedRow], bool],
    is_stopping: Callable[[], bool] = lambda: False,
) -> Iterator[list[WalkedRow]]:
    """Yield the rows of a table, a window at a time, as long as a window has old rows.

    Args:
        database: the database of the table.
        number: the column ``id`` of the table's mapped class.
        columns: the other columns to read.
        is_old: returns whether a row is old; the walk ends at a window without old rows.
        is_stopping: called between windows; returns whether to stop.
    """
    last = 0
    while not is_stopping():
        window = select(number, *columns).where(number > last).order_by(number).limit(WINDOW)
        with database.begin(writing=False) as connection:
            rows: list[WalkedRow] = list(connection.execute(window))
        if not any(map(is_old, rows)):
            return
        last = rows[-1].id
        yield rows
