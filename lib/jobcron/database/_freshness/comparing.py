"""Compare rows with what an earlier transaction read of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from sqlalchemy import ColumnElement, Connection, Dialect, Select, bindparam, cast, select
from sqlalchemy.exc import CompileError
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.types import TypeEngine

from jobcron.database._freshness.committed import committed_row, is_alone
from jobcron.database._freshness.versions import may_be_own, of_row
from jobcron.database.trouble import Interruption, mark
from jobcron.errors import ChangedMeanwhile


def in_order(states: Iterable[InstanceState[object]]) -> list[InstanceState[object]]:
    """Return rows in the order in which a flush updates them: two jobs that lock the same rows do not deadlock."""
    try:
        return sorted(states, key=lambda state: (state.mapper.class_.__name__, state.identity or ()))
    except TypeError:  # keys that cannot be compared
        return list(states)


def compare(session: Session, state: InstanceState[object], expected: dict[str, object]) -> None:
    """Lock a row, and compare columns with the values that were read.

    If they differ, it may be this transaction's own statements that changed them. Then what others see of the row
    is compared, which is what was committed last: nobody else can change it while this transaction has it locked.
    Only then: that takes a second connection, for which this transaction waits with its locks. If a pooler has no
    more to give, it may wait for somebody who waits for one of these locks.

    Raises:
        ChangedMeanwhile: they differ.
    """
    mapper = state.mapper
    entity: type[object] = mapper.class_
    identity = {f"key_{number}": value for number, value in enumerate(state.identity or ())}
    # Not by the session, whose listeners wait for the application's own statements.
    connection = session.connection(bind_arguments={"mapper": mapper})
    reading = _reading(mapper, tuple(expected))
    found = connection.execute(reading.with_for_update(key_share=True), identity).first()
    if found is None:
        raise _changed(f"another session deleted {entity.__name__} {state.identity} after this job had read it")
    bind = session.get_bind(mapper)
    key = _differing(connection, mapper, expected, found)
    if key is None or is_alone(bind, connection):
        return
    if may_be_own(connection, mapper, identity):
        committed = committed_row(bind, connection, reading, identity)
        key = _differing(connection, mapper, expected, found if committed is None else committed)
    if key is not None:
        raise changed_column(state, key)


def _differing(
    connection: Connection, mapper: Mapper[object], expected: dict[str, object], found: Sequence[object]
) -> str | None:
    """Return the first column that has not the value that was read; None if all have."""
    for (key, value), now in zip(expected.items(), found, strict=True):
        if not _is_same(connection, mapper.columns[key].type, value, now):
            return key
    return None


def compare_column(state: InstanceState[object], key: str, value: object, now: object) -> None:
    """Compare what a session had of a column with what it has just read.

    Raises:
        ChangedMeanwhile: they differ.
    """
    column_type = state.mapper.columns[key].type
    session = state.session
    connection = None if session is None else session.connection(bind_arguments={"mapper": state.mapper})
    if connection is None or not _is_same(connection, column_type, value, now):
        raise changed_column(state, key)


def _is_same(connection: Connection, column_type: TypeEngine[object], value: object, now: object) -> bool:
    """Return whether a value that a session has is the one that a row has.

    A value that the session itself has written need not be equal to what is read of it: the type or the database
    rounds numbers, shortens or folds text, and turns a tuple in JSON into a list; and some values, such as NaN
    or a pickled object without ``__eq__``, are not even equal to themselves. So those that differ are compared as
    they are sent, and then as the database gives back what it is sent.
    """
    dialect = connection.dialect
    if _are_equal(dialect, column_type, value, now):
        return True
    if value is None:
        return False
    kept: ColumnElement[object] = bindparam("kept", value, type_=column_type)
    if dialect.name != "sqlite":  # whose columns keep what they get, and whose CAST does not know all types
        kept = cast(kept, column_type)
    try:
        return _are_equal(dialect, column_type, connection.execute(select(kept)).scalar(), now)
    except CompileError:  # of a type that has no name in SQL
        return False


def _are_equal(dialect: Dialect, column_type: TypeEngine[object], one: object, other: object) -> bool:
    # NaN is the value that does not equal itself.
    if column_type.compare_values(one, other) or (one != one and other != other):
        return True
    if one is None or other is None:
        return False
    sent = column_type.dialect_impl(dialect).bind_processor(dialect)
    return sent is not None and bool(_unwrapped(sent(one)) == _unwrapped(sent(other)))


def _unwrapped(sent: object) -> object:
    """Return what is sent, without what psycopg2 or psycopg has put around bytes and JSON: that is never equal."""
    return getattr(sent, "adapted", getattr(sent, "obj", sent))


def changed_column(state: InstanceState[object], key: str) -> ChangedMeanwhile:
    """Return the error that says that another session was first."""
    name = state.class_.__name__
    return _changed(f"another session changed {key} of {name} {state.identity} after this job had read it")


def _changed(text: str) -> ChangedMeanwhile:
    error = ChangedMeanwhile(text)
    mark(error, Interruption.CHANGED_MEANWHILE)
    return error


@cache  # making it takes longer than executing it
def _reading(mapper: Mapper[object], keys: tuple[str, ...]) -> Select[tuple[object, ...]]:
    """Return the statement that reads some of a row's columns; `key_0` … are its primary key.

    It asks the tables, not the class: that may be joined with more, and PostgreSQL locks nothing in an outer join.
    """
    columns = select(*(mapper.columns[key] for key in keys)).select_from(mapper.persist_selectable)
    return columns.where(*of_row(mapper))
