"""Take a connection from an engine's pool for one statement of ours, without what the pool does for others.

For others it makes a proxy, tells listeners, and rolls back at the end, which costs more than the statement. Ours
leaves no transaction, and no job has the connection meanwhile, so only what makes a connection fit for use stays.
"""

# why: decisions 2026-12-01, a statement of ours passes the pool's events by

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from sqlalchemy import Engine, QueuePool
from sqlalchemy.pool import ManagesConnection
from sqlalchemy.pool.base import _ConnectionRecord

from jobcron.database.connecting._watch import Watched

OUR_LISTENERS = {"postgresql": 2, "sqlite": 3}
"""How many listen to a connection being taken, by dialect: see `jobcron.database.connecting.engine`."""

Taken = tuple[ManagesConnection, Callable[[], object]]
"""A connection, and what gives it back."""


def take(engine: Engine) -> Taken:
    """Take a connection from the pool.

    Raises:
        Exception: there is none, and none could be opened.
    """
    pool = engine.pool
    if isinstance(pool, QueuePool) and pool.checkedin() and not _is_heard(engine):
        entry = _fit(engine, pool)
        if entry is not None:
            return entry, partial(pool._do_return_conn, entry)
    connection = engine.raw_connection()
    return connection, connection.close


def _is_heard(engine: Engine) -> bool:
    """Return whether the application listens to connections being taken and given back."""
    heard = engine.pool.dispatch
    return len(heard.checkout) > OUR_LISTENERS[engine.dialect.name] or bool(heard.checkin) or bool(heard.reset)


def _fit(engine: Engine, pool: QueuePool) -> _ConnectionRecord | None:
    """Take the next connection of a pool if it is fit for use; else leave it there, to be replaced."""
    entry = cast("_ConnectionRecord", pool._do_get())
    is_fit = False
    try:
        driver = entry.get_connection()
        is_fit = engine.dialect.do_ping(driver) and (not isinstance(driver, Watched) or driver.is_set_up)
    except BaseException:
        entry.invalidate()  # an answer may be on its way
        raise
    finally:
        if not is_fit:
            pool._do_return_conn(entry)
    return entry if is_fit else None
