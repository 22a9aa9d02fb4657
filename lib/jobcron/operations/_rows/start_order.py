"""Waiting jobs in the order in which they start: by priority, due time and number, as an index has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, tuple_, union_all

from jobcron.database.tables import JobTypeRow
from jobcron.errors import ConfigurationError
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import HALVES, START_ORDER, Job, has_status
from jobcron.operations._rows.search import MANY_TYPES

LOOKED_AT = 2_000
"""How many waiting jobs are looked at for a page, of all types together; of each at least a page."""


class StartKey(NamedTuple):
    """The place of a waiting job in the order in which jobs start.

    Attributes:
        priority: lowest first.
        scheduled_start: then the earliest.
        id: then the oldest.
    """

    priority: int
    scheduled_start: datetime
    id: int


class Line(NamedTuple):
    """The jobs that come next, of some types.

    Attributes:
        keys: their places, in order.
        end: where it was no longer looked; None: these are all.
    """

    keys: list[StartKey]
    end: StartKey | None


def line(connection: Connection, types: Sequence[int] | None, after: StartKey | None, page: int) -> Line:
    """Return the next waiting jobs of some types.

    The index has each type for itself, with and without a channel: the first of each are merged, up to where the
    first of these ends.

    Args:
        connection: a connection; it is only read.
        types: the numbers of the types; None: all.
        after: only what comes after this place.
        page: how many are wanted.

    Raises:
        ConfigurationError: there are too many types.
    """
    numbers = list(connection.scalars(select(JobTypeRow.id))) if types is None else list(types)
    if len(numbers) > MANY_TYPES:
        raise ConfigurationError(
            f"expected a section, a family or a type with at most {MANY_TYPES} types to list jobs as they start, "
            f"got: {len(numbers)} types"
        )
    if not numbers:
        return Line([], None)
    most = max(page + 1, LOOKED_AT // (len(HALVES) * len(numbers)))
    base = select(*START_ORDER, Job.type_id, Job.channel.is_(None)).where(has_status(JobStatus.WAITING))
    if after is not None:
        base = base.where(tuple_(*START_ORDER) > tuple_(*after, types=[one.type for one in START_ORDER]))
    parts = [
        base.where(half, Job.type_id == number).order_by(*START_ORDER).limit(most).subquery()
        for number in numbers
        for half in HALVES
    ]
    found: dict[tuple[int, bool], list[StartKey]] = {}
    for priority, start, job, number, is_free in connection.execute(union_all(*map(select, parts))):
        found.setdefault((number, bool(is_free)), []).append(StartKey(priority, start, job))
    end = min((max(keys) for keys in found.values() if len(keys) == most), default=None)
    every = sorted(key for keys in found.values() for key in keys)
    return Line(every if end is None else [key for key in every if key <= end], end)
