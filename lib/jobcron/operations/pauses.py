"""Pause a section, a type, a queue or a channel at once, for all hosts, and end the pause."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobcron.database.clock import database_now
from jobcron.database.stored_text import held
from jobcron.errors import ConfigurationError, InvalidJobData
from jobcron.jobs.arguments.row_values import check_row_values
from jobcron.jobs.hand_moves import operator_name
from jobcron.jobs.moves.channels import check_channel
from jobcron.jobs.moves.pauses import Pause, Scope, current_pauses, delete_pause, pauses_of, write_pause
from jobcron.jobs.moves.undoing import write_act
from jobcron.operations.selection import check_type
from jobcron.settings.settings import Settings

__all__ = ["NewPause", "Pause", "Scope", "current_pauses", "pause", "pauses_of", "unpause"]


REASON_LENGTH = 1_000
"""The longest reason of a pause, in characters: it is told wherever somebody wonders."""


class NewPause(NamedTuple):
    """A pause that was just made.

    Attributes:
        pause: the pause.
        before: the pause of the same thing that it replaces.
    """

    pause: Pause
    before: Pause | None


def pause(
    connection: Connection,
    settings: Settings,
    scope: Scope,
    name: str,
    *,
    until: datetime | timedelta | None = None,
    actor: str | None = None,
    reason: str | None = None,
) -> NewPause:
    """Pause a section, a type, a queue or a channel, in the caller's transaction.

    From its commit on, no run claims a job of it, on any host. Jobs that are claimed already end as usual: those
    that run, and about a second of work beside them.

    Args:
        connection: in a transaction that writes.
        settings: the instance's, which name the sections.
        scope: what is paused.
        name: its name. A queue or a channel may have no jobs yet.
        until: when the pause ends by itself, or after how long; None: not at all.
        actor: who does it; by default the user of this process.
        reason: why, for whoever wonders.

    Raises:
        ConfigurationError: there is no such section or type, no queue or channel can have this name, the pause
            would be over already, or the reason is too long.
    """
    _check(connection, settings, scope, name)
    check_reason(reason)
    now = connection.scalar(select(database_now()))
    assert now is not None
    end = now + until if isinstance(until, timedelta) else until
    if end is not None and end <= now:
        raise ConfigurationError(f"expected a pause that ends after {now.isoformat()}, got {end.isoformat()}")
    who = held(connection, actor or operator_name())
    made = Pause(scope, name, who, None if reason is None else held(connection, reason), now, end)
    before = delete_pause(connection, scope, name)
    write_pause(connection, made)
    end_told = "" if end is None else f" until {end:%Y-%m-%d %H:%M:%S} UTC"
    write_act(connection, f"pause {scope} {name}{end_told}", who, reason)
    return NewPause(made, before)


def unpause(connection: Connection, scope: Scope, name: str, actor: str | None = None) -> Pause:
    """End a pause, in the caller's transaction, and return it; the next run or tick goes on.

    Args:
        connection: in a transaction that writes.
        scope: what is paused.
        name: its name.
        actor: who does it; by default the user of this process.

    Raises:
        ConfigurationError: it is not paused.
    """
    found = delete_pause(connection, scope, name)
    if found is not None:
        write_act(connection, f"unpause {scope} {name}", actor or operator_name(), None)
        return found
    others = ", ".join(f"{other.scope} {other.name}" for other in current_pauses(connection))
    raise ConfigurationError(f"expected a {scope} that is paused, got: {name}; paused: {others or 'nothing'}")


def check_reason(reason: str | None) -> None:
    """Refuse a reason that is too long to be told.

    Raises:
        ConfigurationError: it is.
    """
    if reason is not None and len(reason) > REASON_LENGTH:
        raise ConfigurationError(
            f"expected a reason of at most {REASON_LENGTH:,} characters, got: {len(reason):,}"
        )


def _check(connection: Connection, settings: Settings, scope: Scope, name: str) -> None:
    match scope:
        case Scope.SECTION:
            settings.section(name)
        case Scope.TYPE:
            check_type(connection, name)
        case Scope.QUEUE:
            try:
                check_row_values("a pause", {"queue_name": name})
            except InvalidJobData as error:
                raise ConfigurationError(str(error)) from error
        case Scope.CHANNEL:
            check_channel(name)
