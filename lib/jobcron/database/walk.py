"""Walk a table by its numbers, which grow with time.

An index would only help the removal of old rows, and every job that ends would pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import select

from jobcron.database.database import Database

# why: decisions 2026-11-24, pruning walks the tables
WINDOW = 1000
"""How many rows are read in one transaction."""


def windows(
    database: Database,
    table: Any,
    columns: Any,
    is_old: Callable[[Any], bool],
    is_stopping: Callable[[], bool] = lambda: False,
) -> Iterator[list[Any]]:
    """Yield the rows of a table, a window at a time, as long as a window has old rows.

    Args:
        database: the database of the table.
        table: a mapped class with an ``id``.
        columns: the columns to read, ``id`` included.
        is_old: returns whether a row is old; the walk ends at a window without old rows.
        is_stopping: called between windows; returns whether to stop.
    """
    last = 0
    while not is_stopping():
        window = select(*columns).where(table.id > last).order_by(table.id).limit(WINDOW)
        with database.begin(writing=False) as connection:
            rows = list(connection.execute(window))
        if not any(map(is_old, rows)):
            return
        last = rows[-1].id
        yield rows
