"""Which rows of a family can be inserted without the session's unit of work.

It may only be left out where nobody sees the difference: the mapping does no more for a new row than to write its
columns, and nobody listens to the session's flushes or to the mapper's inserts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from uuid import UUID

from sqlalchemy import Column, Table, inspect
from sqlalchemy.orm import InstanceState, Mapper, RelationshipDirection, RelationshipProperty, Session
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.sql.elements import ClauseElement

_OURS = frozenset(
    {"jobcron.database._freshness.keeping", "jobcron.database.sessions", "jobcron.jobs.arguments.document"}
)
"""The modules whose listeners have nothing to do with rows that are new."""

_SESSION_EVENTS = (
    "before_attach",
    "after_attach",
    "before_flush",
    "after_flush",
    "after_flush_postexec",
    "do_orm_execute",
    "transient_to_pending",
    "pending_to_persistent",
    "loaded_as_persistent",
)
_STATE = "_sa_instance_state"
"""Where SQLAlchemy keeps what it knows of an object, beside the values."""

_MAPPER_EVENTS = ("before_insert", "after_insert")

_UNCHANGING = (type(None), str, int, float, Decimal, bytes, date, time, timedelta, UUID, Enum)
"""The types of defaults that rows may share: another one could be changed in place, for all later jobs."""


@dataclass(frozen=True)
class Plain:
    """A family whose rows need no unit of work.

    Attributes:
        table: its table.
        attributes: the names of the attributes of its columns, in the order of the table; None: none has it.
        links: for each relationship to one object the columns that refer to it: the name of the attribute here,
            and the place of the key in the other object's identity.
        constants: the values of columns that are not given, by their names.
        heard: the attributes that somebody listens to, and whose values may be defaults.
    """

    table: Table
    attributes: tuple[str | None, ...]
    links: dict[str, tuple[tuple[str, int], ...]]
    constants: dict[str, object]
    heard: frozenset[str]


def is_unheard(session: Session, *mapped: object) -> bool:
    """Return whether nobody else listens to what a session, and the mappers of classes, do with new rows.

    Args:
        session: the session.
        mapped: the classes.
    """
    for name in _SESSION_EVENTS:
        for listener in getattr(session.dispatch, name):
            if getattr(listener, "__module__", None) not in _OURS:
                return False
    for one in mapped:
        for name in _MAPPER_EVENTS:
            for listener in getattr(_mapper_of(one).dispatch, name):
                if getattr(listener, "__module__", None) not in _OURS:
                    return False
    return True


@cache
def _mapper_of(mapped: object) -> Mapper[object]:
    return inspect(mapped)  # type: ignore[no-any-return]


def plain(family: type[object]) -> Plain | None:
    """Return how to insert rows of a family; None: only by the unit of work."""
    of: object = family  # to mypy a class is not always hashable
    return _plain(of)


@cache
def _plain(family: type[object]) -> Plain | None:
    mapper: Mapper[object] = inspect(family)
    table = mapper.local_table
    if not isinstance(table, Table) or not table.implicit_returning or not _is_alone(mapper):
        return None
    names = {attribute.columns[0]: attribute.key for attribute in mapper.column_attrs}
    links = {}
    for relationship in mapper.relationships:
        found = _link(mapper, relationship)
        if found is not None:
            links[relationship.key] = found
        elif relationship.key != "job":
            return None
    constants: dict[str, object] = {}
    for column in table.columns:
        default = column.default
        if default is None:
            continue
        if not default.is_scalar or not isinstance(default.arg, _UNCHANGING):
            return None
        constants[column.key] = default.arg
    heard = {
        key
        for column, key in names.items()
        if (column.server_default or column.default) and list(mapper.class_manager[key].dispatch.set)
    }
    attributes = tuple(names.get(column) for column in table.columns)
    return Plain(table, attributes, links, constants, frozenset(heard))


def _is_alone(mapper: Mapper[object]) -> bool:
    """Return whether a mapper writes one table, by no other rules, and makes objects in the usual way."""
    is_usual = mapper.class_manager.original_init is mapper.registry.constructor
    return (
        is_usual
        and mapper.inherits is None
        and mapper.polymorphic_on is None
        and mapper.version_id_col is None
        and len(mapper.tables) == 1
        and len(mapper.primary_key) == 1
        and all(isinstance(a.columns[0], Column) and len(a.columns) == 1 for a in mapper.column_attrs)
    )


def _link(
    mapper: Mapper[object], relationship: RelationshipProperty[object]
) -> tuple[tuple[str, int], ...] | None:
    """Return what `Plain.links` has of a relationship; None: only the unit of work can write it."""
    is_simple = relationship.direction is RelationshipDirection.MANYTOONE and not relationship.viewonly
    if not is_simple or relationship.back_populates or relationship.backref or relationship.post_update:
        return None
    if relationship._reverse_property:
        return None
    keys = relationship.mapper.primary_key
    if any(remote not in keys for _, remote in relationship.local_remote_pairs or ()):
        return None
    return tuple(
        (mapper.get_property_by_column(local).key, keys.index(remote))
        for local, remote in relationship.local_remote_pairs or ()
    )


def values_of(session: Session, row: object, known: Plain) -> dict[str, object] | None:
    """Return the values of a new row that is in no session, by the keys of its columns.

    None: only the unit of work can write them, as where a related object is new.
    """
    loaded: Mapping[str, object] = vars(row)
    given = {key: loaded[key] for key in known.attributes if key is not None and key in loaded}
    for key in loaded:
        if key in given:
            continue
        if key in known.links:
            found = _keys_of(session, loaded[key], known.links[key])
            if found is None:
                return None
            given.update(found)
        elif key != _STATE and key in inspect(type(row)).attrs:
            return None
    if any(isinstance(value, ClauseElement) for value in given.values()):
        return None
    written = {
        key: (column.key, given[key])
        for key, column in zip(known.attributes, known.table.columns, strict=True)
        if key in given and is_written(column, given[key])
    }
    return {**known.constants, **dict(written.values())} if known.heard <= written.keys() else None


def is_written(column: Column[object], value: object) -> bool:
    """Return whether a value goes into the row: None asks for the column's default, unless the type stores it."""
    return value is not None or column.type.should_evaluate_none


def _keys_of(session: Session, other: object, link: tuple[tuple[str, int], ...]) -> dict[str, object] | None:
    if other is None:
        return {key: None for key, _ in link}
    state: InstanceState[object] = instance_state(other)
    if state.session is not session or not state.persistent or state.identity is None:
        return None
    return {key: state.identity[place] for key, place in link}
