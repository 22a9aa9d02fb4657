"""Pauses of sections, types and queues: while one lasts, no run begins a job of it; jobs that run end as usual.

They are rows of the database, so that they hold on all hosts from the next claim on. Claims and ticks ask for them
within their own statements (`jobcron.database.sql`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, delete, or_, select

from jobcron.database.clock import database_now
from jobcron.database.statements import insert_into
from jobcron.database.tables import JobSourceRow, JobTypeRow, PauseRow


class Scope(StrEnum):
    """What a pause is of."""

    SECTION = "section"
    TYPE = "type"
    QUEUE = "queue"
    CHANNEL = "channel"


@dataclass(frozen=True)
class Pause:
    """A pause.

    Attributes:
        scope: what it is of.
        name: the name of the section, the type or the queue.
        actor: who made it.
        reason: why.
        since: when it was made.
        until: when it ends by itself; None: not at all.
    """

    scope: Scope
    name: str
    actor: str
    reason: str | None
    since: datetime
    until: datetime | None

    def __str__(self) -> str:
        """Return it in words, for messages."""
        end = "until somebody ends it" if self.until is None else f"until {_moment(self.until)}"
        reason = "" if self.reason is None else f": {self.reason}"
        return f"{self.scope} {self.name} is paused by {self.actor} since {_moment(self.since)}, {end}{reason}"


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def current_pauses(connection: Connection, scope: Scope | None = None) -> list[Pause]:
    """Return the pauses that last, by scope and name; only reads."""
    query = select(*_COLUMNS).where(_lasts()).order_by(PauseRow.scope, PauseRow.name)
    if scope is not None:
        query = query.where(PauseRow.scope == scope)
    return [_pause(*row) for row in connection.execute(query)]


def pauses_of(connection: Connection, section: str, sources: Iterable[str]) -> list[Pause]:
    """Return the pauses of a section, and of the types of its sources; those of queues are nobody's own.

    Args:
        connection: only read.
        section: the section's name.
        sources: the dotted names by which the database may know its source.
    """
    types = (
        select(JobTypeRow.name)
        .join(JobSourceRow, JobSourceRow.type_id == JobTypeRow.id)
        .where(JobSourceRow.name.in_(list(sources)))
    )
    own = or_(
        (PauseRow.scope == Scope.SECTION) & (PauseRow.name == section),
        (PauseRow.scope == Scope.TYPE) & PauseRow.name.in_(types),
    )
    query = select(*_COLUMNS).where(_lasts(), own).order_by(PauseRow.scope, PauseRow.name)
    return [_pause(*row) for row in connection.execute(query)]


def is_paused(connection: Connection, scope: Scope, name: str) -> bool:
    """Return whether something is paused."""
    found = select(PauseRow.name).where(PauseRow.scope == scope, PauseRow.name == name, _lasts())
    return connection.scalar(found) is not None


def write_pause(connection: Connection, pause: Pause) -> None:
    """Write a pause, in the place of one of the same thing."""
    values = {name: value for name, value in vars(pause).items() if name not in ("scope", "name")}
    key = {"scope": pause.scope.value, "name": pause.name}
    statement = insert_into(PauseRow, connection).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def delete_pause(connection: Connection, scope: Scope, name: str) -> Pause | None:
    """Delete the pause of something, and return it if it would have lasted; delete all that are over as well."""
    # Two statements: SQLite 3.40 returns no truth value for IS NULL in RETURNING.
    mine = (PauseRow.scope == scope) & (PauseRow.name == name)
    found = connection.execute(select(*_COLUMNS).where(mine, _lasts())).first()
    connection.execute(delete(PauseRow).where(mine | ~_lasts()))
    return None if found is None else _pause(*found)


_COLUMNS = (PauseRow.scope, PauseRow.name, PauseRow.actor, PauseRow.reason, PauseRow.since, PauseRow.until)


def _pause(
    scope: str, name: str, actor: str, reason: str | None, since: datetime, until: datetime | None
) -> Pause:
    return Pause(Scope(scope), name, actor, reason, since, until)


def _lasts() -> ColumnElement[bool]:
    return or_(PauseRow.until.is_(None), PauseRow.until > database_now())
