"""Which columns of which rows a flush writes because relationships were changed, and what a collection held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


def changed_pairs(state: InstanceState[object]) -> dict[str, tuple[set[Identity], set[Identity]]]:
    """Return, for changed collections over a table of pairs, the keys of the rows that came, and that went."""
    found: dict[str, tuple[set[Identity], set[Identity]]] = {}
    for link in _collections(state.mapper):
        if link.key in state.committed_state and link.key in state.dict:
            history = state.attrs[link.key].history
            found[link.key] = _identities(history.added), _identities(history.deleted)
    return found


def _identities(rows: Iterable[object] | None) -> set[Identity]:
    return {key for row in rows or () if row is not None and (key := inspect(row).identity) is not None}


def is_as_read(
    state: InstanceState[object], key: str, values: Mapping[str, object], flushed: set[Mapper[object]]
) -> bool:
    """Return whether a relationship to one row, which a transaction has not loaded, is as it was read before it.

    Args:
        state, key: the row, and the relationship.
        values: what the row's attributes were, as far as the transaction has not written them.
        flushed: of which mappers, without their subclasses, the transaction has written rows.
    """
    link = state.mapper.relationships[key]
    if link.direction is RelationshipDirection.MANYTOONE:
        unknown = object()
        before = {ours: values.get(ours, unknown) for ours in _own_keys(state.mapper, key)}
        return all(state.dict.get(ours, value) == value for ours, value in before.items())
    return flushed.isdisjoint({state.mapper.base_mapper, link.mapper.base_mapper})


def reading_collection(state: InstanceState[object], key: str) -> Executable:
    """Return the statement that reads the keys of the rows that a collection has now, and locks its pairs."""
    link = state.mapper.relationships[key]
    keys = select(*link.mapper.primary_key).where(with_parent(state.obj(), link.class_attribute))
    pairs = [table for table in keys.get_final_froms() if getattr(table, "element", table) is link.secondary]
    return keys.with_for_update(key_share=True, of=pairs)  # of one name in the statement, which is not the table's


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


@cache
def _own_keys(mapper: Mapper[object], key: str) -> list[str]:
    """Return the attributes of the foreign key of a relationship; no row's primary key changes under it."""
    columns = mapper.relationships[key].local_columns - set(mapper.primary_key)
    return [attribute.key for attribute in mapper.column_attrs if columns & set(attribute.columns)]
