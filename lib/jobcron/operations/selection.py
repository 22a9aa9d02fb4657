"""Selections: which jobs an operator means, as values.

All filters of a selection must hold. Times are given as durations, because the database's clock counts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Text, bindparam, cast, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from jobcron.database.clock import database_after
from jobcron.database.statements import among
from jobcron.database.tables import JobSourceRow, JobTypeRow
from jobcron.errors import ConfigurationError
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.registry import names_of, registered
from jobcron.operations.asking import argument_name, text_of
from jobcron.queue.sources import find_source
from jobcron.settings.settings import Section, Settings
from jobcron.settings.suggestions import suggestion

NAMED = 10
"""How many jobs a selection names, in words."""

NEAREST = 10_000
"""The most jobs of a graph that lists and counts look at: the nearest to the one that names it. Acts take all."""


@dataclass(frozen=True)
class Selection:
    """Which jobs; without any filter, all.

    Attributes:
        ids: these numbers.
        up_to: no newer than the job with this number.
        graph: of the graph of the job with this number: all jobs that edges connect with it.
        uuid: this UUID.
        types: one of these types, such as ``foo_job.ACT``.
        family: a type of this family.
        sources: a type whose jobs one of the sources of these dotted names returns; see `of_section`.
        statuses: one of these statuses.
        queue: this queue.
        channel: this channel or one below it. A job that was given none is in none until its section claims it.
        requester: this requester.
        unique_key: this unique key.
        target: this target: the dotted name of its class, and its primary key as in the row, such as ``1``. Only
            for types without a table of their own.
        oops_id: this report.
        error: the error contains this text; upper and lower case are the same.
        argument: names and values of arguments in the job's data.
        older_than: created longer ago than this.
        younger_than: created no longer ago than this.
        created_on: created on this day, in UTC.
        ended_within: ended no longer ago than this, in whatever way: completed, failed, cancelled or expired.
        due_within: due by then; negative: due so long ago.
        due_after: due only after so much time.

    Raises:
        ConfigurationError: a text is too long, or cannot be the name of an argument.
    """

    ids: tuple[int, ...] = ()
    up_to: int | None = None
    graph: int | None = None
    uuid: UUID | None = None
    types: tuple[str, ...] = ()
    family: str | None = None
    sources: tuple[str, ...] = ()
    statuses: tuple[JobStatus, ...] = ()
    queue: str | None = None
    channel: str | None = None
    requester: str | None = None
    unique_key: str | None = None
    target: tuple[str, str] | None = None
    oops_id: str | None = None
    error: str | None = None
    argument: tuple[tuple[str, object], ...] = ()
    older_than: timedelta | None = None
    younger_than: timedelta | None = None
    created_on: date | None = None
    ended_within: timedelta | None = None
    due_within: timedelta | None = None
    due_after: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse what a database could not look for."""
        for name, value in vars(self).items():
            try:
                if isinstance(value, str):
                    text_of(value)
                elif name == "argument":
                    [argument_name(one) for one, _ in value]
            except ValueError as error:
                raise ConfigurationError(f"{name.replace('_', ' ')}: {error}") from error

    @classmethod
    def of_section(cls, settings: Settings, name: str) -> Self:
        """Return the selection of a section's jobs.

        Raises:
            ConfigurationError: there is no such section.
        """
        return cls(sources=sources_of(settings, settings.section(name)))

    def __bool__(self) -> bool:
        """Return whether there is any filter."""
        return self != type(self)()

    def __str__(self) -> str:
        """Return it in words, for people, such as ``jobs with queue letters, statuses FAILED``."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        filters = [
            f"{name.replace('_', ' ')} {_words(value)}"
            for name, value in given.items()
            if name != "ids" and value not in (None, ())
        ]
        jobs = f"jobs {', '.join(map(str, self.ids[:NAMED]))}" if self.ids else "jobs"
        more = f" and {len(self.ids) - NAMED:,} more" if len(self.ids) > NAMED else ""
        return f"{jobs}{more}{' with ' if filters else ''}{', '.join(filters)}"

    def with_statuses(self, *statuses: JobStatus) -> Self:
        """Return the same selection of these statuses."""
        return dataclasses.replace(self, statuses=statuses)


def _words(value: object) -> str:
    match value:
        case JobStatus():
            return value.name
        case tuple():
            return " ".join(map(_words, value))
        case _:
            return str(value)


def sources_of(settings: Settings, section: Section) -> tuple[str, ...]:
    """Return the dotted names by which the database may know a section's source.

    A source written by hand is known by its class, not by the interface that the section names: it is found if the
    application has been imported.
    """
    names = [section.source_interface or ""]
    with suppress(ConfigurationError):
        names += names_of(find_source(settings, section))
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class TypeChoice:
    """The numbers of the types that a selection allows.

    Attributes:
        ids: the numbers, in order; None: all types.
    """

    ids: tuple[int, ...] | None


def chosen_types(connection: Connection, selection: Selection) -> TypeChoice:
    """Return the numbers of the types that a selection allows; none if it names types that nobody knows."""
    if not selection.types and selection.family is None and not selection.sources:
        return TypeChoice(None)
    wanted = select(JobTypeRow.id).order_by(JobTypeRow.id)
    if selection.types:
        wanted = wanted.where(JobTypeRow.name.in_(selection.types))
    if selection.family is not None:
        wanted = wanted.where(JobTypeRow.name.startswith(f"{selection.family}.", autoescape=True))
    if selection.sources:
        of_sources = select(JobSourceRow.type_id).where(JobSourceRow.name.in_(selection.sources))
        wanted = wanted.where(JobTypeRow.id.in_(of_sources))
    return TypeChoice(tuple(connection.scalars(wanted)))


def check_type(connection: Connection, name: str) -> None:
    """Refuse the name of a job type that neither the database nor this process knows.

    Raises:
        ConfigurationError: it is unknown.
    """
    types = sorted({*connection.scalars(select(JobTypeRow.name)), *registered()})
    if name not in types:
        raise ConfigurationError(
            f"expected a job type that the database knows, got: {name}; it knows: {', '.join(types) or 'none'}"
            f"{suggestion(name, types)}"
        )


def conditions(selection: Selection, types: TypeChoice, dialect: str) -> list[ColumnElement[bool]]:
    """Return the conditions of a selection on the rows of jobs, but for that of their graph.

    Args:
        selection: the selection.
        types: what `chosen_types` has found for it.
        dialect: the name of the SQL dialect.
    """
    found = list(_equalities(selection))
    if selection.ids:
        found.append(among(Job.id, selection.ids))
    if selection.up_to is not None:
        found.append(Job.id <= selection.up_to)
    if types.ids is not None:
        found.append(Job.type_id.in_(types.ids))
    if selection.statuses:
        found.append(has_status(*sorted(selection.statuses)))
    if selection.error is not None:
        found.append(func.coalesce(Job.log, "").icontains(selection.error, autoescape=True))
    for name, value in selection.argument:
        found.append(_argument(name, value, dialect))
    return [*found, *_times(selection)]


def _equalities(selection: Selection) -> Iterator[ColumnElement[bool]]:
    pairs = (
        (Job.uuid, selection.uuid),
        (Job.queue_name, selection.queue),
        (Job.requester, selection.requester),
        (Job.unique_key, selection.unique_key),
        (Job.oops_id, selection.oops_id),
    )
    for column, value in pairs:
        if value is not None:
            yield column == value
    if selection.channel is not None:
        below = Job.channel.startswith(f"{selection.channel}.", autoescape=True)
        yield or_(Job.channel == selection.channel, below)
    if selection.target is not None:
        name, key = selection.target
        yield Job.target_type == name
        yield or_(Job.target_id == key, Job.target_id == json.dumps(key))


def _argument(name: str, value: object, dialect: str) -> ColumnElement[bool]:
    """Return the condition that the job's data has a value; both databases compare it as JSON."""
    data, text = Job.json_data, json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if dialect == "postgresql":
        return cast(data.op("->")(name), JSONB) == cast(literal_text(text), JSONB)  # type: ignore[attr-defined, unused-ignore]
    # SQLite compares texts: json() leaves out the spaces of the row, but characters beyond ASCII stay as the row
    # has them, which is as escapes unless somebody else wrote it. A name without quotes would be a path.
    texts = [literal_text(one) for one in dict.fromkeys((json.dumps(value, separators=(",", ":")), text))]
    paths = [literal_text(f"$.{one}") for one in dict.fromkeys((json.dumps(name), f'"{name}"'))]
    return or_(*(func.json(data.op("->")(path), type_=Text).in_(texts) for path in paths))  # type: ignore[attr-defined, unused-ignore]


def literal_text(text: str) -> ColumnElement[str]:
    """Return a text as a parameter."""
    return bindparam(None, text, Text)


def _times(selection: Selection) -> Iterator[ColumnElement[bool]]:
    if selection.older_than is not None:
        yield Job.date_created < database_after(-selection.older_than.total_seconds())
    if selection.younger_than is not None:
        yield Job.date_created >= database_after(-selection.younger_than.total_seconds())
    if selection.created_on is not None:
        start = datetime.combine(selection.created_on, time(), UTC)
        yield Job.date_created >= start
        yield Job.date_created < start + timedelta(days=1)
    if selection.ended_within is not None:
        yield Job.date_finished >= database_after(-selection.ended_within.total_seconds())
    if selection.due_within is not None:
        yield Job.scheduled_start <= database_after(selection.due_within.total_seconds())
    if selection.due_after is not None:
        yield Job.scheduled_start > database_after(selection.due_after.total_seconds())
