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
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, SQLColumnExpression, select, union_all

from jobcron.database.statements import among
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import HALVES, START_ORDER, Job, has_status
from jobcron.jobs.moves.edges import graph_of
from jobcron.jobs.status import NOT_STARTED
from jobcron.operations.selection import NEAREST, Selection, TypeChoice, chosen_types, conditions

FEW = 10_000
"""The most rows that a partial index may hold for its rows to be sorted."""

MANY_TYPES = 20
"""From so many types on, a partial index is read for all types at once."""

SEARCHED = 100_000
"""The most rows that a search by number looks at."""


@dataclass(frozen=True)
class _Index:
    """A partial index of jobs that have not ended; all begin with the type.

    Statuses, condition and order are the index's, word for word: for others the database would read all jobs.
    """

    statuses: tuple[JobStatus, ...]
    where: tuple[ColumnElement[bool], ...]
    order: tuple[SQLColumnExpression[object], ...]


_PENDING = (
    *(_Index((JobStatus.WAITING,), (half,), START_ORDER) for half in HALVES),
    _Index((JobStatus.SUSPENDED, JobStatus.BLOCKED), (), (Job.id,)),
    _Index((JobStatus.RUNNING,), (), (Job.lease_expires,)),
)


@dataclass(frozen=True)
class Search:
    """Where to look for the jobs of a selection.

    Attributes:
        where: the conditions.
        next: the search that goes on is that of the jobs below this number, or above it if the oldest come first;
            None: no other row can belong to the selection.
        is_by_number: whether it looks at the newest rows, and not into an index that leads to few.
        is_cut: whether only the nearest jobs of a graph are looked at.
    """

    where: list[ColumnElement[bool]]
    next: int | None
    is_by_number: bool = False
    is_cut: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether no other row can belong to the selection."""
        return self.next is None and not self.is_cut


def search(
    connection: Connection,
    selection: Selection,
    beyond: int | None = None,
    *,
    is_oldest_first: bool = False,
    has_whole_graph: bool = False,
) -> Search:
    """Return where to look for the jobs of a selection.

    Args:
        connection: a connection; it is only read.
        selection: which jobs.
        beyond: only jobs with smaller numbers, or with greater ones if the oldest come first.
        is_oldest_first: whether the oldest come first.
        has_whole_graph: whether all jobs of a graph are wanted, however many; else the nearest.
    """
    types = chosen_types(connection, selection)
    where = conditions(selection, types, connection.dialect.name)
    is_cut = False
    if selection.graph is not None and has_whole_graph:
        where.append(Job.id.in_(graph_of(selection.graph)))
    elif selection.graph is not None:
        near = nearest(connection, selection.graph)
        where.append(among(Job.id, near.ids))
        is_cut = near.is_cut
    if beyond is not None:
        where.append(Job.id > beyond if is_oldest_first else Job.id < beyond)
    has_uuids = connection.dialect.name == "sqlite"  # PostgreSQL's index has only jobs that have not started
    has_few = selection.ids or selection.graph is not None or selection.target is not None
    if has_few or (selection.uuid is not None and has_uuids):
        return Search(where, None, is_cut=is_cut)
    few = _few_pending(connection, selection.statuses, types)
    if few is not None:
        return Search([among(Job.id, few), *where], None)
    first_unseen = connection.scalar(_first_unseen(beyond, is_oldest_first))
    if first_unseen is None:
        return Search(where, None, is_by_number=True)
    is_seen, step = (Job.id < first_unseen, -1) if is_oldest_first else (Job.id > first_unseen, 1)
    return Search([is_seen, *where], first_unseen + step, is_by_number=True)


class Nearest(NamedTuple):
    """Jobs of a graph.

    Attributes:
        ids: their numbers, `NEAREST` at most.
        is_cut: whether the graph has more.
    """

    ids: list[int]
    is_cut: bool


def nearest(connection: Connection, job_id: int) -> Nearest:
    """Return the jobs of a job's graph, those nearest to it if they are too many."""
    found = list(connection.scalars(graph_of(job_id).limit(NEAREST + 1)))
    return Nearest(found[:NEAREST], len(found) > NEAREST)


def _first_unseen(beyond: int | None, is_oldest_first: bool) -> Select[int]:
    """Return the query for the first number that a search by number leaves out; only an index is read."""
    found = select(Job.id).order_by(Job.id if is_oldest_first else Job.id.desc()).offset(SEARCHED).limit(1)
    if beyond is None:
        return found
    return found.where(Job.id > beyond if is_oldest_first else Job.id < beyond)


def _few_pending(connection: Connection, statuses: Sequence[JobStatus], types: TypeChoice) -> list[int] | None:
    """Return the numbers of the jobs in the partial indexes of these statuses.

    None: one of the statuses has no such index, or the indexes have too many.
    """
    if not statuses or not set(statuses) <= {*NOT_STARTED, JobStatus.RUNNING}:
        return None
    found: list[int] = []
    for index in _PENDING:
        if not set(index.statuses).isdisjoint(statuses):
            found += connection.scalars(_of_index(index, types))
            if len(found) > FEW:
                return None
    return found


def _of_index(index: _Index, types: TypeChoice) -> Select[int]:
    """Return the query for the numbers in a partial index, `FEW` and one more at most."""
    base, order = select(Job.id).where(has_status(*index.statuses), *index.where), index.order
    if types.ids is None or len(types.ids) > MANY_TYPES or not types.ids:
        return base.order_by(Job.type_id, *order).limit(FEW + 1)
    parts = [base.where(Job.type_id == number).order_by(*order).limit(FEW + 1).subquery() for number in types.ids]
    return select(union_all(*(select(part.c.id) for part in parts)).limit(FEW + 1).subquery().c.id)
