"""The limits of channels, as rows of the database: what the configuration says, and what somebody has set since.

A row that the configuration made follows the configuration; but what an operator has set stays until the
configuration says something else than before.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from jobcron.database.clock import database_now
from jobcron.database.database import TransactionSource
from jobcron.database.sql import JOBS
from jobcron.database.sql import LIMITS as LIMITED
from jobcron.database.statements import execute, insert_into
from jobcron.database.stored_text import held
from jobcron.database.tables import ChannelRow
from jobcron.errors import ConfigurationError
from jobcron.settings.settings import CHANNEL_NAME, CHANNEL_RULE, Channel, Settings
from jobcron.settings.suggestions import suggestion

HAND = "the command line"
"""The origin of limits that an operator made."""

NO_LIMIT = "no limit"

LIMITS = ("capacity", "per_key", "throttle", "period", "sequential")
"""The columns that limit a channel."""

TURNS = (LIMITED | JOBS) - {"mixed"}
"""The parts of a statement that says whose turn it is: it is asked for no type of jobs."""

IN_ORDER = {
    "channel": "one after the other",
    "target": "one after the other for each key",
}
"""What a channel may keep the order of, in words."""


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
            configured = _text(channel)
            _store(connection, name, _limits(channel), origin, configured=configured, changed_by=None)
            logger.info("The channel %s: %s.", name, described(channel))


def _changes(rows: list[ChannelRow], channels: Mapping[str, Channel], origin: str) -> dict[str, Channel | None]:
    """Return the channels whose rows do not follow the configuration; None: the configuration has none any more.

    A row that another configuration made is left to that: two that differ would write in turns.
    """
    found: dict[str, Channel | None] = {}
    known = {row.name: row for row in rows}
    for name, channel in channels.items():
        row = known.get(name)
        if row is None or (row.origin in (origin, HAND) and not _follows(row, channel)):
            found[name] = channel
    for row in rows:
        if row.origin == origin and row.name not in channels:
            found[row.name] = None
    return found


def _follows(row: ChannelRow, channel: Channel) -> bool:
    """Return whether a row is as a channel's configuration says, but for what somebody has set since.

    A release that does not know a limit leaves its column as it was.
    """
    is_changed = row.changed_by is not None
    return row.configured == _text(channel) and (is_changed or _limits_of(row) == _limits(channel))


def _limits_of(row: ChannelRow) -> dict[str, object]:
    return {name: vars(row)[name] for name in LIMITS}


def _limits(channel: Channel) -> dict[str, object]:
    throttle, period = (None, None) if channel.throttle is None else channel.throttle
    values = (channel.capacity, channel.per_key, throttle, period, channel.sequential)
    return dict(zip(LIMITS, values, strict=True))


def _text(channel: Channel) -> str:
    limits = _limits(channel)
    if limits["sequential"] is None:
        del limits["sequential"]  # rows that were made before there was this key say nothing of it
    return json.dumps(limits, sort_keys=True)


def _store(connection: Connection, name: str, limits: Mapping[str, object], origin: str, **values: object) -> None:
    """Write the row of a channel; one that begins to keep its order passes over what has failed before."""
    made = {**limits, **values, "origin": origin, "changed_at": database_now()}
    changed = {**made, "origin": ChannelRow.origin if origin == HAND else origin}
    if "sequential" in limits:
        keeps_order = limits["sequential"] is not None
        made["passed_at"] = database_now() if keeps_order else None
        changed["passed_at"] = func.coalesce(ChannelRow.passed_at, database_now()) if keeps_order else None
    statement = insert_into(ChannelRow, connection).values(name=name, **made)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


def described(channel: Channel | ChannelRow) -> str:
    """Return the limits of a channel in words."""
    limits = _limits(channel) if isinstance(channel, Channel) else _limits_of(channel)
    parts = []
    if limits["capacity"] is not None:
        parts.append(f"{limits['capacity']} at once")
    if limits["per_key"] is not None:
        parts.append(f"{limits['per_key']} at once for each key")
    if limits["throttle"] is not None:
        parts.append(f"{limits['throttle']} starts in {limits['period']:g} s")
    if limits["sequential"] is not None:
        parts.append(IN_ORDER[str(limits["sequential"])])
    return ", ".join(parts) or NO_LIMIT


def check_channel(name: str) -> None:
    """Check the name of a channel.

    Raises:
        ConfigurationError: no channel can have it.
    """
    if not CHANNEL_NAME.fullmatch(name):
        raise ConfigurationError(
            f"expected the name of a channel such as root.export ({CHANNEL_RULE}), got: {name}"
            f"{suggestion(name, [f'root.{name}'])}"
        )


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
    _store(connection, name, limits, HAND, changed_by=held(connection, actor))
    return _row(connection, name)


def forget_changes(connection: Connection, name: str) -> ChannelRow | None:
    """Let a channel have what the configuration says again; return its row, or None if that says nothing.

    Raises:
        ConfigurationError: it has no limits.
    """
    row = _row(connection, name)
    if row.configured is None:
        connection.execute(delete(ChannelRow).where(ChannelRow.name == name))
        return None
    limits = {**dict.fromkeys(LIMITS), **json.loads(row.configured)}
    _store(connection, name, limits, row.origin, changed_by=None)
    return _row(connection, name)


def _row(connection: Connection, name: str) -> ChannelRow:
    rows = read_channels(connection)
    found = next((row for row in rows if row.name == name), None)
    if found is None:
        meant = suggestion(name, [row.name for row in rows])
        raise ConfigurationError(f"expected a channel with limits, got: {name}{meant}")
    return found


class Turn(NamedTuple):
    """A job that keeps its turn in a sequential channel: no other job begins there.

    Attributes:
        job: its number.
        channel: the channel that keeps its order; the job is in it or below it.
        key: the key for which the order is kept; None: for the whole channel.
    """

    job: int
    channel: str
    key: str | None


def turns(connection: Connection) -> list[Turn]:
    """Return the jobs that keep their turn, as claims see them, those that run included; only reads."""
    return [Turn(row.id, row.name, row.channel_key) for row in execute(connection, "turns", {"gone": ""}, TURNS)]


def ahead_of(connection: Connection, job: int, type_id: int, section_channel: str) -> list[Turn]:
    """Return the jobs of other types that come before a waiting job in the orders of its channel; only reads.

    Args:
        connection: a connection.
        job, type_id: the job, and the number of its type.
        section_channel: the channel of its section; empty: it has none.
    """
    asked = {"id": job, "type": type_id, "channel": section_channel, "gone": ""}
    return [Turn(row.id, row.name, row.channel_key) for row in execute(connection, "ahead", asked)]


def pass_over(connection: Connection, name: str) -> list[int]:
    """Let a channel go on with other jobs than those that keep their turn; return the numbers of these.

    A job that runs, or begins again later, keeps its turn again once it fails.

    Raises:
        ConfigurationError: it does not keep an order.
    """
    if _row(connection, name).sequential is None:
        raise ConfigurationError(f"expected a channel that is sequential, got: {name}")
    kept = [turn.job for turn in turns(connection) if turn.channel == name]
    connection.execute(update(ChannelRow).where(ChannelRow.name == name).values(passed_at=database_now()))
    return kept
