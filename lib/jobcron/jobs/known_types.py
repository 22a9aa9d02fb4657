"""The rows of job types: keep their numbers and the names of their sources up to date."""

from __future__ import annotations

import functools
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, select, update

from jobcron.database.statements import AnyInsert, execute, insert_for
from jobcron.database.tables import JobSourceRow, JobTypeRow
from jobcron.jobs.registry import SourceName, registered, source_names
from jobcron.reports.plurals import counted
from jobcron.settings.named import dotted_name

# why: decisions 2026-11-25, pending jobs of types without a class
PENDING_LIMIT = 1000
"""The most jobs that are counted of a type without a class."""


def find_or_insert(connection: Connection, name: str) -> int:
    """Return the number of a job type, which it gets now if it is new."""
    found = connection.scalar(select(JobTypeRow.id).where(JobTypeRow.name == name))
    return _inserted(connection, name) if found is None else found


def _inserted(connection: Connection, name: str) -> int:
    """Return the number of a job type that was new a moment ago."""
    connection.execute(_new_type(connection.dialect.name), {"name": name})
    return connection.scalars(select(JobTypeRow.id).where(JobTypeRow.name == name)).one()


# The first run of an application writes a row for each of its types, and for each name of their sources.
@functools.cache
def _new_type(dialect: str) -> AnyInsert:
    return insert_for(JobTypeRow, dialect).on_conflict_do_nothing(index_elements=["name"])


Sources = list[tuple[str, list[SourceName]]]


def registered_sources(asked_for: Iterable[str] = ()) -> Sources:
    """Return the job types of this process and the names of their sources, in name order.

    The order keeps two processes that write them at once from a deadlock.

    Args:
        asked_for: the names by which sections name sources. A package that re-exports a source gives it another
            name; such a name is found if its package is already imported.
    """
    more = _other_names(asked_for)
    found = []
    for type_name, job_class in registered().items():
        names = source_names(job_class)
        names += [SourceName(other, known.own_iter_ready) for known in names for other in more[known.name]]
        found.append((type_name, sorted(names)))
    return sorted(found)


def types_by_source(sources: Sources) -> dict[str, str]:
    """Return the names of types by each name of their source, if the source has the jobs of one type."""
    found: defaultdict[str, set[str | None]] = defaultdict(set)
    for type_name, names in sources:
        for name in names:
            found[name.name].add(None if name.own_iter_ready else type_name)
    single = {name: types.pop() for name, types in found.items() if len(types) == 1}
    return {name: type_name for name, type_name in single.items() if type_name is not None}


def _other_names(asked_for: Iterable[str]) -> defaultdict[str, list[str]]:
    """Return the other names of sources, by the source's own dotted name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in asked_for:
        module, _, attribute = name.rpartition(".")
        thing = vars(sys.modules[module]).get(attribute) if module in sys.modules else None
        if thing is not None and dotted_name(thing) != name:
            found[dotted_name(thing)].append(name)
    return found


def is_known(connection: Connection, sources: Sources) -> bool:
    """Return whether the database has these types and sources as they are; only read."""
    numbers = _numbers(connection)
    known = _known(connection)
    wanted = {(numbers.get(type_name), name) for type_name, names in sources for name in names}
    return wanted <= known and not _stale(known, wanted)


def sync(connection: Connection, sources: Sources) -> list[str]:
    """Update the database's rows of job types and their sources.

    Args:
        connection: a connection in its own short transaction.
        sources: the result of `registered_sources`.

    Returns:
        In words, which types seem to be those of another application as well.
    """
    numbers, known = _numbers(connection), _known(connection)
    new = []
    for type_name, names in sources:
        if type_name not in numbers:
            number = _renamed(connection, type_name, numbers, known, names)
            new += [{"name": type_name}] if number is None else []
    # Few statements, however many there are: the first run of an application writes them all.
    if new:
        connection.execute(_new_type(connection.dialect.name), new)
    numbers = _numbers(connection)
    shared = []
    for type_name, names in sources:
        mine = {name for number, name in known if number == numbers[type_name]}
        shared += _shared(type_name, names, mine)
    wanted = {(numbers[type_name], name) for type_name, names in sources for name in names}
    if unknown := sorted(wanted - known):
        rows = [_row_of(number, name) for number, name in unknown]
        connection.execute(_source_of_type(connection.dialect.name), rows)
    for number, name in sorted(_stale(known, wanted)):
        connection.execute(
            delete(JobSourceRow).where(JobSourceRow.name == name.name, JobSourceRow.type_id == number)
        )
    return shared


def _renamed(
    connection: Connection,
    type_name: str,
    numbers: dict[str, int],
    known: set[tuple[int | None, SourceName]],
    names: list[SourceName],
) -> int | None:
    """Give a type that has the name without its prefix its name, if it is that of the same class."""
    former = registered()[type_name].former_type_name
    number = numbers.get(former)
    if number is None or former in registered() or not any((number, name) in known for name in names):
        return None
    connection.execute(update(JobTypeRow).where(JobTypeRow.id == number).values(name=type_name))
    return number


def _shared(type_name: str, mine: list[SourceName], known: set[SourceName]) -> list[str]:
    """Return, in words, that sources of other packages have a type that is new to this one."""
    packages = {name.name.partition(".")[0] for name in mine}
    claiming = {name.name for name in known if not name.own_iter_ready}
    others = sorted(name for name in claiming if name.partition(".")[0] not in packages)
    if not others or any(name in known for name in mine):
        return []
    return [
        f"The job type {type_name} of {mine[0].name} is that of {', '.join(others)} as well. If they belong to "
        "two applications, each would run the other's jobs: give one of the classes a type_prefix, or its family "
        "another table"
    ]


def _numbers(connection: Connection) -> dict[str, int]:
    return {name: number for number, name in connection.execute(select(JobTypeRow.id, JobTypeRow.name))}


def _known(connection: Connection) -> set[tuple[int | None, SourceName]]:
    rows = connection.execute(select(JobSourceRow.type_id, JobSourceRow.name, JobSourceRow.own_iter_ready))
    return {(number, SourceName(name, own)) for number, name, own in rows}


def _stale(
    known: set[tuple[int | None, SourceName]], wanted: Collection[tuple[int | None, SourceName]]
) -> set[tuple[int, SourceName]]:
    """Return the rows of these sources that are out of date, such as those of a renamed type.

    A source that overrides ``iterReady`` may return jobs of any type.
    """
    names = {name.name for _, name in wanted if not name.own_iter_ready}
    pairs = {(number, name.name) for number, name in wanted}
    return {
        (number, name)
        for number, name in known
        if number is not None and name.name in names and (number, name.name) not in pairs
    }


def unclaimed(connection: Connection, families: Collection[str] | None = None) -> list[tuple[str, str]]:
    """Return the types without a class in this process, and in words how many of their jobs have not ended.

    Such jobs do no harm: they wait until code that knows them runs again. A type that a source with its own
    ``iterReady`` has returned counts as known.

    Args:
        connection: a connection; it is only read.
        families: return only the types of these families.
    """
    of_sources = select(JobSourceRow.type_id).where(JobSourceRow.own_iter_ready)
    types = (
        select(JobTypeRow.id, JobTypeRow.name).where(JobTypeRow.id.not_in(of_sources)).order_by(JobTypeRow.name)
    )
    prefixes = ("",) if families is None else tuple(f"{family}." for family in families)
    classes, found = registered(), []
    for number, name in connection.execute(types).all():
        if name not in classes and name.startswith(prefixes):
            parameters = {"type": number, "limit": PENDING_LIMIT}
            pending = execute(connection, "count_pending", parameters).scalar_one()
            if pending:
                more = pending == PENDING_LIMIT
                found.append(
                    (name, f"{pending} or more pending jobs" if more else counted(pending, "pending job"))
                )
    return found


def type_ids_of(connection: Connection, source_name: str) -> list[int]:
    """Return the numbers of the types whose jobs the source of this dotted name has returned."""
    return list(
        connection.scalars(
            select(JobSourceRow.type_id).where(JobSourceRow.name == source_name).order_by(JobSourceRow.type_id)
        )
    )


def remember(connection: Connection, number: int, source: SourceName) -> None:
    """Note that a source returns jobs of a type."""
    connection.execute(_source_of_type(connection.dialect.name), _row_of(number, source))


def _row_of(number: int, source: SourceName) -> dict[str, object]:
    return {"name": source.name, "type": number, "own_iter_ready": source.own_iter_ready}


@functools.cache
def _source_of_type(dialect: str) -> AnyInsert:
    insert = insert_for(JobSourceRow, dialect)
    return insert.on_conflict_do_update(
        index_elements=["name", "type"], set_={"own_iter_ready": insert.excluded.own_iter_ready}
    )
