"""Which columns of which rows a flush writes because relationships were changed, and what a collection held."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from sqlalchemy import Executable, inspect, select
from sqlalchemy.orm import InstanceState, Mapper, RelationshipDirection, RelationshipProperty, with_parent

Identity = tuple[object, ...]


def written_by_links(state: InstanceState[object]) -> Iterator[tuple[InstanceState[object], str]]:
    """Yield each row, and the attribute of its foreign key, that changed relationships of a row will write.

    ``job.context.owner = user`` writes a column of this row, ``owner.things.append(thing)`` one of the other.
    """
    for link in _links(state.mapper):
        if link.key not in state.committed_state:
            continue
        if link.direction is RelationshipDirection.MANYTOONE:
            rows = [state]
        else:
            history = state.attrs[link.key].history
            rows = [inspect(row) for row in (*history.added, *history.deleted) if row is not None]
        for row in rows:
            for _, column in link.synchronize_pairs:
                yield row, row.mapper.get_property_by_column(column).key


def changed_collections(state: InstanceState[object]) -> dict[str, set[Identity]]:
    """Return the rows, by their keys, that changed collections over a table of pairs had when they were read."""
    found: dict[str, set[Identity]] = {}
    for link in _collections(state.mapper):
        if link.key in state.committed_state and link.key in state.dict:
            history = state.attrs[link.key].history
            before = [inspect(row).identity for row in (*history.unchanged, *history.deleted) if row is not None]
            found[link.key] = {key for key in before if key is not None}
    return found


def reading_collection(state: InstanceState[object], key: str) -> Executable:
    """Return the statement that reads the keys of the rows that a collection has now."""
    link = state.mapper.relationships[key]
    return select(*link.mapper.primary_key).where(with_parent(state.obj(), link.class_attribute))


@cache
def _links(mapper: Mapper[object]) -> list[RelationshipProperty[object]]:
    """Return the relationships that write a foreign key of either side."""
    return [
        link
        for link in mapper.relationships
        if not link.viewonly and link.direction is not RelationshipDirection.MANYTOMANY
    ]


@cache
def _collections(mapper: Mapper[object]) -> list[RelationshipProperty[object]]:
    """Return the relationships that write rows of a table of pairs."""
    return [
        link
        for link in mapper.relationships
        if not link.viewonly and link.direction is RelationshipDirection.MANYTOMANY
    ]
