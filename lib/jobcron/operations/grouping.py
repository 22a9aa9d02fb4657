"""Jobs of a selection, counted by what they have in common."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, Text, func, select, type_coerce

from jobcron.database.tables import JobTypeRow
from jobcron.errors import ConfigurationError
from jobcron.jobs.job import Job
from jobcron.operations._rows.error_lines import ends_of_error, exception_line
from jobcron.operations._rows.search import Search, search
from jobcron.operations.selection import Selection, chosen_types
from jobcron.settings.settings import Settings

GROUPED_BY = ("type", "section", "queue", "channel", "requester", "day", "error")
"""What jobs are grouped by."""

GROUPS = 100
"""The most groups."""

ERRORS = 5_000
"""How many errors are read to be grouped."""


@dataclass(frozen=True)
class Group:
    """Jobs that have something in common.

    Attributes:
        value: what they have in common; None: they have none of it.
        number: how many there are.
    """

    value: str | None
    number: int


@dataclass(frozen=True)
class Grouping:
    """The groups of the jobs of a selection.

    Attributes:
        groups: the groups, the largest first; days: the newest first.
        is_complete: whether these are all, and all rows were looked at.
    """

    groups: tuple[Group, ...]
    is_complete: bool


def group_jobs(
    connection: Connection, selection: Selection, by: str, settings: Settings | None = None
) -> Grouping:
    """Count the jobs of a selection by a value of theirs, among a limited number of rows.

    Args:
        connection: a connection; it is only read.
        selection: which jobs.
        by: one of `GROUPED_BY`. A day is that of the creation in UTC, an error the line that names the exception.
            Jobs that several sections run count for each of these.
        settings: the instance's, which name the sections; needed for these only.

    Raises:
        ConfigurationError: there is no such value.
    """
    if by not in GROUPED_BY:
        raise ConfigurationError(f"expected one of {', '.join(GROUPED_BY)} to group by, got: {by!r}")
    looked = search(connection, selection)
    if by == "error":
        return _by_error(connection, looked)
    if by == "section":
        return _by_section(connection, looked, settings)
    columns = {
        "type": JobTypeRow.name,
        "queue": Job.queue_name,
        "channel": Job.channel,
        "requester": Job.requester,
    }
    key: ColumnElement[str | None] = columns[by].expression if by in columns else _day(connection.dialect.name)
    counted: Select[str | None, int] = (
        select(key.label("value"), func.count().label("number")).select_from(Job).where(*looked.where)
    )
    if by == "type":
        counted = counted.join(JobTypeRow, JobTypeRow.id == Job.type_id)
    order = key.desc() if by == "day" else func.count().desc()
    rows = connection.execute(counted.group_by(key).order_by(order, key).limit(GROUPS + 1)).all()
    groups = tuple(Group(row.value, row.number) for row in rows[:GROUPS])
    return Grouping(groups, is_complete=looked.is_complete and len(rows) <= GROUPS)


def _day(dialect: str) -> ColumnElement[str | None]:
    if dialect == "postgresql":
        return func.to_char(func.timezone("UTC", Job.date_created), "YYYY-MM-DD", type_=Text)
    return func.substr(type_coerce(Job.date_created, Text), 1, 10, type_=Text)


def _by_section(connection: Connection, looked: Search, settings: Settings | None) -> Grouping:
    """Count by type, and add that up by the sections that run the type."""
    assert settings is not None
    counted = select(Job.type_id, func.count()).where(*looked.where).group_by(Job.type_id)
    numbers = {row[0]: row[1] for row in connection.execute(counted)}
    found = Counter[str | None]()
    unserved = dict(numbers)
    for name in settings.sections:
        for number in chosen_types(connection, Selection.of_section(settings, name)).ids or ():
            if number in numbers:
                found[name] += numbers[number]
                unserved.pop(number, None)
    if unserved:
        found[None] = sum(unserved.values())
    groups = tuple(Group(value, number) for value, number in found.most_common(GROUPS))
    return Grouping(groups, is_complete=looked.is_complete and len(found) <= GROUPS)


def _by_error(connection: Connection, looked: Search) -> Grouping:
    ends = select(ends_of_error()).where(Job.log.is_not(None), *looked.where)
    texts = list(connection.scalars(ends.order_by(Job.id.desc()).limit(ERRORS + 1)))
    found = Counter(exception_line(text) for text in texts[:ERRORS])
    groups = tuple(Group(value, number) for value, number in found.most_common(GROUPS))
    is_complete = looked.is_complete and len(texts) <= ERRORS and len(found) <= GROUPS
    return Grouping(groups, is_complete)
