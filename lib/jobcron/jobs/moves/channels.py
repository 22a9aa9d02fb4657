"""The limits of channels, as rows of the database: what the configuration says, and what somebody has set since.

A row that the configuration made follows the configuration; but what an operator has set stays until the
configuration says something else than before.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from sqlalchemy import Connection, delete, select, update

from jobcron.database.clock import database_now
from jobcron.database.database import TransactionSource
from jobcron.database.statements import insert_into
from jobcron.database.stored_text import held
from jobcron.database.tables import ChannelRow
from jobcron.errors import ConfigurationError
from jobcron.settings.settings import CHANNEL_NAME, Channel, Settings

HAND = "the command line"
"""The origin of limits that an operator made."""

NO_LIMIT = "no limit"

LIMITS = ("capacity", "per_key", "throttle", "period")
"""The columns that limit a channel."""


def read_channels(connection: Connection) -> list[ChannelRow]:
    """Return the rows of all limits, by the names of the channels; they belong to no session."""
    table = ChannelRow.__table__
    rows = connection.execute(select(table).order_by(table.c.name)).mappings()
    return [ChannelRow(**row) for row in rows]


def origin_of(settings: Settings) -> str:
    """Return how rows name an instance's configuration."""
    return f"the configuration {settings.instance}"


def store_channels(database: TransactionSource, settings: Settings, logger: logging.Logger) -> None:
    """Write the limits that are new, changed or gone in an instance's configuration; only reads if none are.

    Args:
        database: the database.
        settings: the instance's.
        logger: logs the changes.
    """
    origin = origin_of(settings)
    with database.begin(writing=False) as connection:
        if not _changes(read_channels(connection), settings.channels, origin):
            return
    with database.begin() as connection:
        for name, channel in sorted(_changes(read_channels(connection), settings.channels, origin).items()):
            if channel is None:
                connection.execute(delete(ChannelRow).where(ChannelRow.name == name))
                logger.info("The channel %s has no limit any more in %s.", name, origin)
                continue
            values = {**_limits(channel), "origin": origin, "configured": _text(channel)}
            values |= {"changed_by": None, "changed_at": database_now()}
            statement = insert_into(ChannelRow, connection).values(name=name, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
            logger.info("The channel %s: %s.", name, described(channel))


def _changes(rows: list[ChannelRow], channels: Mapping[str, Channel], origin: str) -> dict[str, Channel | None]:
    """Return the channels whose rows do not follow the configuration; None: the configuration has none any more.

    A row that another configuration made is left to that: two that differ would write in turns.
    """
    found: dict[str, Channel | None] = {}
    known = {row.name: row for row in rows}
    for name, channel in channels.items():
        row = known.get(name)
        if row is None or (row.origin in (origin, HAND) and row.configured != _text(channel)):
            found[name] = channel
    for row in rows:
        if row.origin == origin and row.name not in channels:
            found[row.name] = None
    return found


def _limits(channel: Channel) -> dict[str, object]:
    throttle, period = (None, None) if channel.throttle is None else channel.throttle
    return dict(zip(LIMITS, (channel.capacity, channel.per_key, throttle, period), strict=True))


def _text(channel: Channel) -> str:
    return json.dumps(_limits(channel), sort_keys=True)


def described(channel: Channel | ChannelRow) -> str:
    """Return the limits of a channel in words."""
    limits = _limits(channel) if isinstance(channel, Channel) else {name: vars(channel)[name] for name in LIMITS}
    parts = []
    if limits["capacity"] is not None:
        parts.append(f"{limits['capacity']} at once")
    if limits["per_key"] is not None:
        parts.append(f"{limits['per_key']} at once for each key")
    if limits["throttle"] is not None:
        parts.append(f"{limits['throttle']} starts in {limits['period']:g} s")
    return ", ".join(parts) or NO_LIMIT


def check_channel(name: str) -> None:
    """Check the name of a channel.

    Raises:
        ConfigurationError: no channel can have it.
    """
    if not CHANNEL_NAME.fullmatch(name):
        raise ConfigurationError(f"expected the name of a channel such as root.export, got: {name}")


def set_limits(connection: Connection, name: str, actor: str, limits: Mapping[str, object]) -> ChannelRow:
    """Change limits of a channel, in the caller's transaction; they hold from its commit on, for the next claims.

    Args:
        connection: in a transaction that writes.
        name: the channel.
        actor: who does it.
        limits: some of `LIMITS`; None: no limit.

    Returns:
        The row as it is now. What is not given stays as it was.

    Raises:
        ConfigurationError: no channel can have this name.
    """
    check_channel(name)
    values = {**limits, "changed_by": held(connection, actor), "changed_at": database_now()}
    made = insert_into(ChannelRow, connection).values(name=name, origin=HAND, **values)
    connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=values))
    return next(row for row in read_channels(connection) if row.name == name)


def forget_changes(connection: Connection, name: str) -> ChannelRow | None:
    """Let a channel have what the configuration says again; return its row, or None if that says nothing.

    Raises:
        ConfigurationError: it has no limits.
    """
    row = next((row for row in read_channels(connection) if row.name == name), None)
    if row is None:
        raise ConfigurationError(f"expected a channel with limits, got: {name}")
    mine = ChannelRow.name == name
    if row.configured is None:
        connection.execute(delete(ChannelRow).where(mine))
        return None
    values = {**dict.fromkeys(LIMITS), **json.loads(row.configured), "changed_by": None}
    connection.execute(update(ChannelRow).where(mine).values({**values, "changed_at": database_now()}))
    return next(row for row in read_channels(connection) if row.name == name)
