"""Connections to PostgreSQL in the pool: set up when they are first taken, and alive whenever they are."""

from __future__ import annotations

import select
import time

from sqlalchemy import Engine

from jobcron.database.connecting._names import name_schema
from jobcron.database.connecting._session_state import CONFIGURED, SET_UP, Found, clearing_of, names_in
from jobcron.database.connecting._watch import Watched

IDLE_SECONDS = 30.0
"""A connection that rested longer is asked whether it lives: a firewall may have dropped it without a word.

Shorter rests cost nothing: what a server or a pooler closes can be seen on the socket.
"""


def set_up(engine: Engine, connection: Watched, record: object, proxy: object) -> None:
    """Set up a new connection, when it is first taken from the pool, mostly in one round trip.

    By now the application's own listeners have set up what they want; that is what is put back later.
    """
    if connection.is_set_up:
        return
    configuring = connection.configuring
    configured: dict[str, str] = {}
    with connection.without_transaction():
        (row,) = connection.ask(SET_UP)
        if configuring:
            configured = {
                str(name): str(value) for name, value in connection.ask(CONFIGURED, (names_in(configuring),))
            }
    found = Found._make(row)
    connection.start(clearing_of(connection, found, configured))
    name_schema(engine, found.schema)


def is_alive(connection: Watched) -> bool:
    """Return whether a connection from the pool can be used; one that rested briefly costs no round trip."""
    if connection.is_closed:
        return False
    rested = time.monotonic() - connection.rests_since
    try:
        if rested > IDLE_SECONDS or _has_news(connection):
            with connection.without_transaction():
                connection.ask("SELECT 1")
        connection.keep_settings()
    except (connection.errors, OSError):
        return False
    return True


_poll = select.poll


def _has_news(connection: Watched) -> bool:
    """Return whether the other end has sent something unasked: mostly, that it is gone."""
    poll = _poll()
    poll.register(connection.descriptor, select.POLLIN)
    return bool(poll.poll(0))
