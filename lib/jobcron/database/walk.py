"""Walking a table by its numbers, which grow with time.

Every job that ends would have to pay for an index that serves the removal of what is old alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import select

from jobcron.database.database import Database

WINDOW = 1000
"""How many rows are looked at in one transaction."""


def windows(
    database: Database,
    table: Any,
    columns: Any,
    is_old: Callable[[Any], bool],
    is_stopping: Callable[[], bool] = lambda: False,
) -> Iterator[list[Any]]:
    """Yield the rows of a table, a window at a time, as long as there are old ones among them.

    Args:
        database: where they are.
        table: a mapped class with an ``id``.
        columns: what is to be read of each row, its ``id`` included.
        is_old: tells whether a row is; the walk ends where none of a window is.
        is_stopping: asked between windows.
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
