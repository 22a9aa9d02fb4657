"""Encode values as the JSON of a job's row, and decode them, including types that JSON lacks (SECURITY.md).

`encode` and `decode` support the types below, each as an object with one key, for values that are declared as
arguments:

=============================  ====================================================================
``{"$datetime": text}``        an ISO 8601 date and time, with or without an offset from UTC
``{"$datetime": [text, zone, fold]}``  one of a `ZoneInfo` (its key), or one that is the second of its name
``{"$date": text}``            an ISO 8601 date
``{"$Decimal": text}``         a decimal number
``{"$UUID": text}``            a UUID
``{"$bytes": text}``           bytes, in base 64
``{"$tuple": [item, …]}``      a tuple
``{"$set": [item, …]}``        a set
``{"$frozenset": [item, …]}``  a frozen set
``{"$enum": [class, name]}``   an item of a standard enum
``{"$flag": [class, value]}``  several flags of a standard enum
``{"$object": [class, [key]]}``  a mapped object, by its primary key
``{"$dict": [[key, value], …]}``  a dict whose keys are not all plain text
=============================  ====================================================================

What comes back is equal to what was given, and of the same type; what could not is refused, values of subclasses
among it. Only a zone that is no `ZoneInfo` comes back as its offset from UTC.

Never pickle: a row can name only a class that code has imported, and that is an enum or mapped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from enum import Enum, Flag
from typing import Any, NamedTuple, TypeGuard, cast

from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import Mapper, Session

from jobcron.errors import InvalidJobData, MissingClass
from jobcron.jobs.arguments._names import (
    class_named,
    enum_name_of,
    flags_of,
    is_enum,
    is_flag,
    member_named,
    name_of,
)
from jobcron.jobs.arguments._scalars import READERS, SCALARS
from jobcron.jobs.arguments.json_data import MAX_LEVELS, JSONValue, cut_repr, instead_of, is_member, shown


class Reference(NamedTuple):
    """A mapped object, by its class and its primary key."""

    mapped: type[object]
    key: tuple[object, ...]


def encode(value: object, what: str, levels: int = MAX_LEVELS) -> JSONValue:
    """Return a value as JSON, encoded as described at the top of this module.

    Args:
        value: the value.
        what: its name, for messages.
        levels: the most levels of nested collections.

    Raises:
        InvalidJobData: the value, or something in it, cannot be stored.
    """
    if value is None or type(value) is bool or type(value) is int or type(value) is str or type(value) is float:
        return value
    if isinstance(value, Enum):
        return _encode_enum(value, what)
    for kind, mark, written, _ in SCALARS:
        if type(value) is kind:
            return {mark: written(value, what)}
    if type(value) in (list, dict, *_COLLECTIONS):
        if levels == 0:
            raise InvalidJobData(f"expected {what} to be less deeply nested, it has too many levels")
        return _encode_collection(cast("Collection[object]", value), what, levels - 1)
    return {"$object": _encode_object(value, what)}


def _encode_enum(value: Enum, what: str) -> JSONValue:
    name = enum_name_of(type(value), what)
    if is_member(value):
        return {"$enum": [name, value.name]}
    if isinstance(value, Flag) and type(value.value) is int:
        return {"$flag": [name, value.value]}
    raise InvalidJobData(f"expected {what} to be an item of its enum, got {shown(value)}")


def _encode_collection(value: Collection[object], what: str, levels: int) -> JSONValue:
    if isinstance(value, dict):
        return _encode_dict(value, what, levels)
    items = [encode(item, f"{what}[{number}]", levels) for number, item in enumerate(value)]
    for kind, mark in _COLLECTIONS.items():
        if isinstance(value, kind):
            return {mark: items if kind is tuple else sorted(items, key=json.dumps)}
    return items


def _encode_dict(value: dict[object, object], what: str, levels: int) -> JSONValue:
    items = [(key, encode(item, f"{what}[{cut_repr(key)}]", levels)) for key, item in value.items()]
    plain = {key: item for key, item in items if type(key) is str and not key.startswith("$")}
    if len(plain) == len(items):
        return plain
    return {"$dict": [[encode(key, f"a key of {what}", levels), item] for key, item in items]}


def _encode_object(value: object, what: str) -> list[JSONValue]:
    reference = reference_to(value, what)
    return [name_of(reference.mapped, what), [encode(part, what) for part in reference.key]]


def reference_to(value: object, what: str) -> Reference:
    """Return the reference that stores a mapped object.

    Raises:
        InvalidJobData: it is not mapped, or not in the database.
    """
    state = mapping_of(value, raiseerr=False)
    if state is None or not hasattr(state, "identity"):  # any object: what inspection finds
        raise InvalidJobData(
            f"expected {what} to be of a type that a job's row can keep, got {shown(value)}{instead_of(value)}"
        )
    if state.identity is None:
        raise InvalidJobData(
            f"expected {what} to be in the database, got {shown(value)}, which is not: flush its session first"
        )
    return Reference(state.mapper.base_mapper.class_, tuple(state.identity))


def decode(value: object, session: Session) -> object:
    """Return the value that `encode` turned into this JSON.

    Args:
        value: the JSON.
        session: where mapped objects are looked up.

    Raises:
        MissingClass: it names a class that is not imported, or an item that its enum lacks.
        InvalidJobData: it is malformed.
        LookupError: it refers to an object that no longer exists.
    """
    if isinstance(value, list):
        return [decode(item, session) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((mark, content),) = value.items()
        if mark == "$object":
            return object_of(as_reference(content), session)
        if mark.startswith("$"):
            return _decode_marked(mark, content, lambda item: decode(item, session))
    return {key: decode(item, session) for key, item in value.items()}


def _decode_marked(mark: str, content: Any, decode_item: Callable[[object], object]) -> object:
    try:
        if mark in READERS:
            return READERS[mark](content)
        if mark == "$enum":
            name, item = content
            return member_named(class_named(name, is_enum), item)
        if mark == "$flag":
            name, number = content
            return flags_of(class_named(name, is_flag), number)
        items = [decode_item(item) for item in content]
        return _MAKERS[mark](items)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, OSError) as error:
        # What is no text is no UUID's, for one, and is met as AttributeError.
        raise InvalidJobData(
            f"expected the job's data in a known encoding, got {cut_repr({mark: content})}"
        ) from error


def as_reference(content: Any) -> Reference:
    """Return the reference that JSON describes.

    Raises:
        MissingClass: no imported module has the class.
        InvalidJobData: it is not a reference.
    """
    try:
        name, key = content
        parts = tuple(key)
    except (TypeError, ValueError):
        raise InvalidJobData(f"expected a class and a key, got {cut_repr(content)}") from None
    return Reference(class_named(name, _is_mapped), tuple(map(key_part, parts)))


def key_part(part: object) -> object:
    """Return a decoded part of a primary key: a plain value, an item of an enum, or one of the scalar types.

    Raises:
        InvalidJobData: it is anything else, such as a collection.
    """
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if isinstance(part, dict) and len(part) == 1:
        ((mark, content),) = part.items()
        if mark in READERS or mark in ("$enum", "$flag"):
            return _decode_marked(mark, content, key_part)
    raise InvalidJobData(f"expected a part of a primary key, got {cut_repr(part)}")


def references(value: object) -> Iterator[Reference]:
    """Iterate over the references in a job's data."""
    for mark, content in _named(value):
        if mark == "$object":
            yield as_reference(content)


def check_names(value: object) -> None:
    """Check that this code has the classes, and the items of enums, that a job's data names.

    What is malformed is left to `decode`.

    Raises:
        MissingClass: it lacks one.
    """
    for mark, content in _named(value):
        try:
            as_reference(content) if mark == "$object" else key_part({mark: content})
        except MissingClass:
            raise
        except InvalidJobData:
            continue


def _named(value: object) -> Iterator[tuple[str, object]]:
    """Iterate over what names a class in a job's data: the mark and what it marks."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            mark = next(iter(item), None) if len(item) == 1 else None
            if mark in _NAMING:
                yield mark, item[mark]
            else:
                stack.extend(item.values())


def object_of(reference: Reference, session: Session) -> object:
    """Return the object of a reference.

    Raises:
        LookupError: there is none: it was deleted, or never was there.
    """
    found = session.get(reference.mapped, reference.key)
    if found is None:
        key = reference.key[0] if len(reference.key) == 1 else reference.key
        raise LookupError(f"expected {reference.mapped.__name__} {key!r} to be in the database, there is none")
    return found


def _is_mapped(found: type[object]) -> TypeGuard[type[object]]:
    return isinstance(mapping_of(found, raiseerr=False), Mapper)


_NAMING = ("$object", "$enum", "$flag")

_COLLECTIONS: dict[type[object], str] = {tuple: "$tuple", set: "$set", frozenset: "$frozenset"}
_MAKERS: dict[str, Callable[[list[Any]], object]] = {
    "$dict": dict,
    **{m: kind for kind, m in _COLLECTIONS.items()},
}
