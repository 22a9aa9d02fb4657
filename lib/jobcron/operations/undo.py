"""Acts of operators, by their numbers: who did what; and undo those on jobs, as far as these have not moved since.

`jobcron.operations.acts.act_on_selection` gives the numbers. Deletions, jobs made by hand, pauses, and changes of
channels and schedules are acts as well, which something else undoes, or nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from jobcron.database.database import Database
from jobcron.database.tables import ActRow, UndoRow
from jobcron.errors import ConfigurationError
from jobcron.jobs.hand_moves import operator_name
from jobcron.jobs.moves.undoing import put_back
from jobcron.operations.acts import Bulk, Outcome, outcome_of
from jobcron.operations.listing import COUNTED, Count

USUAL = Bulk()

ACTS = 20
"""How many acts are listed, if nothing else is asked for."""


INSTEAD = {
    "delete": "what was deleted does not come back",
    "create": "cancel the job instead",
    "pause": "unpause it instead",
    "unpause": "pause it again instead",
    "channel": "set its limits again instead",
    "skip": "retry what was passed over, or set it to done, instead",
    "schedule": "change it again instead",
}
"""By the first word of the names of acts that cannot be undone: why, or what to do instead."""


@dataclass(frozen=True)
class ActState:
    """An act of an operator.

    Attributes:
        id: its number.
        at: when it began.
        actor: who did it.
        name: what it was: a word, such as ``retry``; or a sentence, such as ``pause section letters``.
        reason: why.
        jobs: how many jobs it has moved for which it has not been undone.
        instead: why it cannot be undone, or what undoes it instead; None: it can be undone.
    """

    id: int
    at: datetime
    actor: str
    name: str
    reason: str | None
    jobs: Count
    instead: str | None = None


def recent_acts(connection: Connection, *, below: int | None = None, limit: int = ACTS) -> list[ActState]:
    """Return acts, the newest first; only reads.

    Args:
        connection: a connection.
        below: only acts with smaller numbers.
        limit: the most acts.
    """
    query = select(*_COLUMNS).order_by(ActRow.id.desc()).limit(limit)
    if below is not None:
        query = query.where(ActRow.id < below)
    return [_state(connection, *row) for row in connection.execute(query).all()]


def find_act(connection: Connection, number: int) -> ActState:
    """Return an act; only reads.

    Raises:
        ConfigurationError: there is none with this number, or none any more.
    """
    row = connection.execute(select(*_COLUMNS).where(ActRow.id == number)).first()
    if row is None:
        newest = connection.scalar(select(func.max(ActRow.id)))
        raise ConfigurationError(f"expected the number of an act, got: {number}; the newest is {newest or 'none'}")
    return _state(connection, *row)


def find_undoable(connection: Connection, number: int) -> ActState:
    """Return an act that can be undone; only reads.

    Raises:
        ConfigurationError: there is none with this number, or it cannot be undone.
    """
    found = find_act(connection, number)
    if found.instead is not None:
        raise ConfigurationError(f"act {number}, {found.name} by {found.actor}, cannot be undone: {found.instead}")
    return found


def undo_act(database: Database, number: int, how: Bulk = USUAL) -> Iterator[Outcome]:
    """Undo an act, in batches, and yield what became of the jobs of each when it is committed.

    A job that somebody has claimed, moved or changed since is refused, and so is one whose earlier state no legal
    move leads to. The act can be undone again for those.

    Args:
        database: the database of the jobs.
        number: the number of the act.
        how: how to do it; see `act_on_selection`.

    Raises:
        ConfigurationError: as of `find_undoable`.
    """
    with database.begin(writing=False) as connection:
        find_undoable(connection, number)
    actor, last, left = how.actor or operator_name(), 0, how.limit
    while left is None or left > 0:
        with database.begin() as connection, connection.begin_nested() as savepoint:
            size = how.batch if left is None else min(how.batch, left)
            mine = select(UndoRow.job_id).where(UndoRow.act == number, UndoRow.job_id > last)
            ids = list(connection.scalars(mine.order_by(UndoRow.job_id).limit(size)))
            if not ids:
                return
            outcome = outcome_of(put_back(connection, number, ids, actor, how.reason), number)
            if how.is_dry:
                savepoint.rollback()
        last, left = ids[-1], None if left is None else left - len(ids)
        yield outcome
        time.sleep(how.pause)


_COLUMNS = (ActRow.id, ActRow.at, ActRow.actor, ActRow.name, ActRow.reason)


def _state(
    connection: Connection, number: int, at: datetime, actor: str, name: str, reason: str | None
) -> ActState:
    some = select(UndoRow.job_id).where(UndoRow.act == number).limit(COUNTED).subquery()
    found = connection.scalar(select(func.count()).select_from(some)) or 0
    jobs = Count(found, is_exact=found < COUNTED)
    return ActState(number, at, actor, name, reason, jobs, INSTEAD.get(name.partition(" ")[0]))
