"""Compare rows with what an earlier transaction read of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from sqlalchemy import Executable, bindparam, select
from sqlalchemy.orm import InstanceState, Mapper, Session

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

    Raises:
        ChangedMeanwhile: they differ.
    """
    mapper = state.mapper
    entity: type[object] = mapper.class_
    identity = {f"key_{number}": value for number, value in enumerate(state.identity or ())}
    # Not by the session, whose listeners wait for the application's own statements.
    connection = session.connection(bind_arguments={"mapper": mapper})
    found = connection.execute(_reading(mapper, tuple(expected)), identity).first()
    if found is None:
        raise _changed(f"another session deleted {entity.__name__} {state.identity} after this job had read it")
    for (key, value), now in zip(expected.items(), found, strict=True):
        if not mapper.columns[key].type.compare_values(value, now):
            raise changed_column(state, key)


def changed_column(state: InstanceState[object], key: str) -> ChangedMeanwhile:
    """Return the error that says that another session was first."""
    name = state.class_.__name__
    return _changed(f"another session changed {key} of {name} {state.identity} after this job had read it")


def _changed(text: str) -> ChangedMeanwhile:
    error = ChangedMeanwhile(text)
    mark(error, Interruption.CHANGED_MEANWHILE)
    return error


@cache  # making it takes longer than executing it
def _reading(mapper: Mapper[object], keys: tuple[str, ...]) -> Executable:
    """Return the statement that locks a row and reads some of its columns; `key_0` … are its primary key.

    It asks the tables, not the class: that may be joined with more, and PostgreSQL locks nothing in an outer join.
    """
    ours = [column == bindparam(f"key_{number}") for number, column in enumerate(mapper.primary_key)]
    columns = select(*(mapper.columns[key] for key in keys)).select_from(mapper.persist_selectable)
    return columns.where(*ours).with_for_update(key_share=True)
