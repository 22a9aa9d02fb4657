"""Bounded searches: which rows of jobs are looked at for a selection.

A table of jobs may have ten million rows, nearly all of them ended, and no index for these but the primary key. So
a search takes its rows from one of these, the first that fits:

1. an index that leads to few rows: of numbers, graphs, targets, or UUIDs;
2. a partial index that holds only jobs that have not ended, if the selection wants no others and it holds few;
3. the newest rows, a limited number of them, by number. The next search can go on where this one ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Select, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.status import NOT_STARTED
from jobcron.operations.selection import Selection, TypeChoice, chosen_types, conditions

Key = TypeVar("Key")

FEW = 10_000
"""The most rows that a partial index may hold for its rows to be sorted."""

MANY_TYPES = 20
"""From so many types on, a partial index is read for all types at once."""

SEARCHED = 100_000
"""The most rows that a search by number looks at."""


@dataclass(frozen=True)
class Search:
    """Where to look for the jobs of a selection.

    Attributes:
        where: the conditions.
        next: the search that goes on is that of the jobs below this number; None: no other row can belong to the
            selection.
    """

    where: list[ColumnElement[bool]]
    next: int | None


def search(connection: Connection, selection: Selection, below: int | None = None) -> Search:
    """Return where to look for the jobs of a selection.

    Args:
        connection: a connection; it is only read.
        selection: which jobs.
        below: only jobs with smaller numbers.
    """
    types = chosen_types(connection, selection)
    where = conditions(selection, types, connection.dialect.name)
    if below is not None:
        where.append(Job.id < below)
    has_uuids = connection.dialect.name == "sqlite"  # PostgreSQL's index has only jobs that have not started
    has_few = selection.ids or selection.graph is not None or selection.target is not None
    if has_few or (selection.uuid is not None and has_uuids):
        return Search(where, None)
    few = _few_pending(connection, selection.statuses, types)
    if few is not None:
        return Search([Job.id.in_(few), *where], None)
    first_unseen = connection.scalar(_first_unseen(below))
    if first_unseen is None:
        return Search(where, None)
    return Search([Job.id > first_unseen, *where], first_unseen + 1)


def _first_unseen(below: int | None) -> Select[int]:
    """Return the query for the greatest number that a search by number leaves out; only an index is read."""
    newest = select(Job.id).order_by(Job.id.desc()).offset(SEARCHED).limit(1)
    return newest if below is None else newest.where(Job.id < below)


def _few_pending(connection: Connection, statuses: Sequence[JobStatus], types: TypeChoice) -> list[int] | None:
    """Return the numbers of the jobs in the partial indexes of these statuses.

    None: one of the statuses has no such index, or the indexes have too many.
    """
    if not statuses or not set(statuses) <= {*NOT_STARTED, JobStatus.RUNNING}:
        return None
    found: list[int] = []
    for wanted, order in ((NOT_STARTED, Job.unique_key), ((JobStatus.RUNNING,), Job.lease_expires)):
        if not set(wanted).isdisjoint(statuses):
            found += connection.scalars(_of_index(wanted, order, types))
            if len(found) > FEW:
                return None
    return found


def _of_index(statuses: Sequence[JobStatus], order: InstrumentedAttribute[Key], types: TypeChoice) -> Select[int]:
    """Return the query for the numbers in a partial index, `FEW` and one more at most.

    Statuses and order are those of the index, word for word: for others the database would read the whole table.
    """
    base = select(Job.id).where(has_status(*statuses))
    if types.ids is None or len(types.ids) > MANY_TYPES or not types.ids:
        return base.order_by(Job.type_id, order).limit(FEW + 1)
    parts = [base.where(Job.type_id == number).order_by(order).limit(FEW + 1).subquery() for number in types.ids]
    return select(union_all(*(select(part.c.id) for part in parts)).limit(FEW + 1).subquery().c.id)
