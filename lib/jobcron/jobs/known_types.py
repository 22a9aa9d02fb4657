"""The rows of job types: keep their numbers and the names of their sources up to date."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, delete, event, select
from sqlalchemy import inspect as inspect_mapping
from sqlalchemy.orm import Session, SessionTransaction

from jobcron.database.sessions import TYPE_IDS, TYPE_IDS_WATCHED
from jobcron.database.statements import execute, insert_into
from jobcron.database.tables import JobSourceRow, JobTypeRow, jobs_connection
from jobcron.database.transactions import no_tables
from jobcron.jobs.registry import SourceName, registered, source_names
from jobcron.settings.named import dotted_name

# why: decisions 2026-11-25, pending jobs of types without a class
PENDING_LIMIT = 1000
"""The most jobs that are counted of a type without a class."""

# Committed numbers of types, by engine: see `type_id`.
_committed: WeakKeyDictionary[Engine, dict[str, int]] = WeakKeyDictionary()


def type_id(session: Session, name: str) -> int:
    """Return the number of a job type in the session's database; a new type gets one.

    Numbers are cached only once they are committed for good: one that is rolled back, as with a test's
    transaction, would point to no row.
    """
    engine = session.get_bind(inspect_mapping(JobTypeRow)).engine
    known = _committed.setdefault(engine, {}).get(name)
    if known is not None:
        return known
    pending: dict[str, int] = session.info.setdefault(TYPE_IDS, {})
    if name not in pending:
        connection = jobs_connection(session)
        if not inspect_mapping(connection).has_table(JobTypeRow.__tablename__):
            raise no_tables(engine)
        pending[name] = _find_or_insert(connection, name)
        _keep_when_committed(session, connection, engine)
    return pending[name]


def _find_or_insert(connection: Connection, name: str) -> int:
    find = select(JobTypeRow.id).where(JobTypeRow.name == name)
    found = connection.scalar(find)
    if found is None:
        insert = insert_into(JobTypeRow, connection).values(name=name)
        connection.execute(insert.on_conflict_do_nothing(index_elements=["name"]))
        found = connection.scalars(find).one()
    return found


def _keep_when_committed(session: Session, connection: Connection, engine: Engine) -> None:
    if session.info.setdefault(TYPE_IDS_WATCHED, False):
        return
    session.info[TYPE_IDS_WATCHED] = True

    def keep(session: Session) -> None:
        # Inside a savepoint, or in a transaction that was begun outside the session, nothing is final yet.
        if session.get_nested_transaction() is None and not session_connection_busy(session):
            _committed.setdefault(engine, {}).update(session.info.get(TYPE_IDS, {}))

    def session_connection_busy(session: Session) -> bool:
        bind = session.get_bind(inspect_mapping(JobTypeRow))
        return isinstance(bind, Connection) and bind.in_transaction()

    def forget(session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None or transaction.nested:  # otherwise only a flush has ended
            session.info.pop(TYPE_IDS, None)

    event.listen(session, "after_commit", keep)
    # Not after_rollback: close() and invalidate() do not fire it.
    event.listen(session, "after_transaction_end", forget)


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


def _other_names(asked_for: Iterable[str]) -> defaultdict[str, list[str]]:
    """Return the names that are not the objects' own names, by the objects' own names."""
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


def sync(connection: Connection, sources: Sources) -> None:
    """Update the database's rows of job types and their sources.

    Args:
        connection: a connection in its own short transaction.
        sources: the result of `registered_sources`.
    """
    numbers, known = _numbers(connection), _known(connection)
    wanted: set[tuple[int | None, SourceName]] = set()
    for type_name, names in sources:
        number = numbers.get(type_name) or _find_or_insert(connection, type_name)
        for name in names:
            wanted.add((number, name))
            if (number, name) not in known:
                remember(connection, number, name)
    for number, name in sorted(_stale(known, wanted)):
        connection.execute(
            delete(JobSourceRow).where(JobSourceRow.name == name.name, JobSourceRow.type_id == number)
        )


def _numbers(connection: Connection) -> dict[str, int]:
    return {name: number for number, name in connection.execute(select(JobTypeRow.id, JobTypeRow.name))}


def _known(connection: Connection) -> set[tuple[int | None, SourceName]]:
    rows = connection.execute(select(JobSourceRow.type_id, JobSourceRow.name, JobSourceRow.own_iter_ready))
    return {(number, SourceName(name, own)) for number, name, own in rows}


def _stale(
    known: set[tuple[int | None, SourceName]], wanted: set[tuple[int | None, SourceName]]
) -> set[tuple[int, SourceName]]:
    """Return rows about these sources' names that are no longer true, such as those of a renamed type.

    A source that overrides ``iterReady`` may return jobs of any type.
    """
    names = {name.name for _, name in wanted if not name.own_iter_ready}
    pairs = {(number, name.name) for number, name in wanted}
    return {
        (number, name)
        for number, name in known
        if number is not None and name.name in names and (number, name.name) not in pairs
    }


def unclaimed(connection: Connection, family: str | None = None) -> list[tuple[str, str]]:
    """Return the types without a class in this process, and in words how many of their jobs have not ended.

    Such jobs do no harm: they wait until code that knows them runs again. A type that a source with its own
    ``iterReady`` has returned counts as known.

    Args:
        connection: a connection; it is only read.
        family: return only the types of this family.
    """
    of_sources = select(JobSourceRow.type_id).where(JobSourceRow.own_iter_ready)
    types = (
        select(JobTypeRow.id, JobTypeRow.name).where(JobTypeRow.id.not_in(of_sources)).order_by(JobTypeRow.name)
    )
    if family is not None:
        types = types.where(JobTypeRow.name.startswith(f"{family}.", autoescape=True))
    classes, found = registered(), []
    for number, name in connection.execute(types).all():
        if name not in classes:
            parameters = {"type": number, "limit": PENDING_LIMIT}
            pending = execute(connection, "count_pending", parameters).scalar_one()
            if pending:
                found.append((name, f"{pending} or more" if pending == PENDING_LIMIT else str(pending)))
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
    insert = insert_into(JobSourceRow, connection)
    insert = insert.values(name=source.name, type_id=number, own_iter_ready=source.own_iter_ready)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["name", "type"], set_={"own_iter_ready": insert.excluded.own_iter_ready}
        )
    )
