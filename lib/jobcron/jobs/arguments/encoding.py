"""Encode values as the JSON of a job's row, and decode them, including types that JSON lacks (SECURITY.md).

`encode` and `decode` support the types below, each as an object with one key, for values that are declared as
arguments:

=============================  ====================================================================
``{"$datetime": text}``        an ISO 8601 date and time, with or without a time zone
``{"$date": text}``            an ISO 8601 date
``{"$Decimal": text}``         a decimal number
``{"$UUID": text}``            a UUID
``{"$bytes": text}``           bytes, in base 64
``{"$tuple": [item, …]}``      a tuple
``{"$set": [item, …]}``        a set
``{"$frozenset": [item, …]}``  a frozen set
``{"$enum": [class, name]}``   an item of a standard enum
``{"$object": [class, [key]]}``  a mapped object, by its primary key
``{"$dict": [[key, value], …]}``  a dict whose keys are not all plain text
=============================  ====================================================================

Never pickle: a row can name only a class that code has imported, and that is an enum or mapped.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import ModuleType
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import Mapper, Session

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments.json_data import MAX_LEVELS, cut_repr, shown


class Reference(NamedTuple):
    """A mapped object, by its class and its primary key."""

    mapped: type[Any]
    key: tuple[Any, ...]


def encode(value: Any, what: str, levels: int = MAX_LEVELS) -> Any:
    """Return a value as JSON, encoded as described at the top of this module.

    Args:
        value: the value.
        what: its name, for messages.
        levels: the most levels of nested collections.

    Raises:
        InvalidJobData: the value, or something in it, cannot be stored.
    """
    if value is None or type(value) in (bool, int, str, float):
        return value
    if isinstance(value, Enum):
        return {"$enum": [name_of(type(value), what), value.name]}
    for kind, mark, written, _ in _SCALARS:
        if isinstance(value, kind):
            return {mark: written(value)}
    if isinstance(value, list | dict | tuple | set | frozenset):
        if levels == 0:
            raise InvalidJobData(f"expected {what} to be less deep, it has too many levels")
        return _encode_collection(value, what, levels - 1)
    if isinstance(value, str | int | float):
        return encode(_plain(value), what)
    return {"$object": _encode_object(value, what)}


def _encode_collection(value: Any, what: str, levels: int) -> Any:
    if isinstance(value, dict):
        return _encode_dict(value, what, levels)
    items = [encode(item, f"{what}[{number}]", levels) for number, item in enumerate(value)]
    for kind, mark in _COLLECTIONS.items():
        if isinstance(value, kind):
            return {mark: items if kind is tuple else sorted(items, key=json.dumps)}
    return items


def _plain(value: Any) -> Any:
    """Return the plain text or number of a value of a subclass."""
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return str.__str__(value)


def _encode_dict(value: dict[Any, Any], what: str, levels: int) -> Any:
    items = [(key, encode(item, f"{what}[{cut_repr(key)}]", levels)) for key, item in value.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {str(key): item for key, item in items}
    return {"$dict": [[encode(key, f"a key of {what}", levels), item] for key, item in items]}


def _encode_object(value: Any, what: str) -> list[Any]:
    reference = reference_to(value, what)
    return [name_of(reference.mapped, what), [encode(part, what) for part in reference.key]]


def reference_to(value: Any, what: str) -> Reference:
    """Return the reference that stores a mapped object.

    Raises:
        InvalidJobData: it is not mapped, or not in the database.
    """
    state = mapping_of(value, raiseerr=False)
    if state is None or not hasattr(state, "identity"):  # any object: what inspection finds
        raise InvalidJobData(f"expected {what} to be of a type that a job's row can keep, got {shown(value)}")
    if state.identity is None:
        raise InvalidJobData(
            f"expected {what} to be in the database, got {shown(value)}, which is not: flush its session first"
        )
    return Reference(state.mapper.base_mapper.class_, tuple(state.identity))


def name_of(named: type[Any], what: str) -> str:
    """Return the name by which a class can be found again.

    Raises:
        InvalidJobData: another process could not find it.
    """
    if "<locals>" in named.__qualname__ or named.__module__ == "__main__":
        raise InvalidJobData(
            f"expected {what} to be of a class that a module defines, which another process can import, "
            f"got {named.__module__}.{named.__qualname__}"
        )
    return f"{named.__module__}.{named.__qualname__}"


def decode(value: Any, session: Session) -> Any:
    """Return the value that `encode` turned into this JSON.

    Args:
        value: the JSON.
        session: where mapped objects are looked up.

    Raises:
        InvalidJobData: it names a class that is not imported, or is malformed.
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


def _decode_marked(mark: str, content: Any, decode_item: Callable[[Any], Any]) -> Any:
    try:
        if mark in _READERS:
            return _READERS[mark](content)
        if mark == "$enum":
            name, item = content
            return _class_named(name, _is_enum)[item]
        items = [decode_item(item) for item in content]
        return dict(items) if mark == "$dict" else _MAKERS[mark](items)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        # A value that is not text raises AttributeError in UUID, for example.
        raise InvalidJobData(
            f"expected the job's data to be of a known form, got {cut_repr({mark: content})}"
        ) from error


def as_reference(content: Any) -> Reference:
    """Return the reference that JSON describes.

    Raises:
        InvalidJobData: it is not a reference, or no imported module has the class.
    """
    try:
        name, key = content
        parts = tuple(key)
    except (TypeError, ValueError):
        raise InvalidJobData(f"expected a class and a key, got {cut_repr(content)}") from None
    return Reference(_class_named(name, _is_mapped), tuple(map(key_part, parts)))


def key_part(part: Any) -> Any:
    """Return a decoded part of a primary key: a plain value, an item of an enum, or one of the scalar types.

    Raises:
        InvalidJobData: it is anything else, such as a collection.
    """
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if isinstance(part, dict) and len(part) == 1:
        ((mark, content),) = part.items()
        if mark in _READERS or mark == "$enum":
            return _decode_marked(mark, content, key_part)
    raise InvalidJobData(f"expected a part of a primary key, got {cut_repr(part)}")


def references(value: Any) -> Iterator[Reference]:
    """Iterate over the references in a job's data."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            if item.keys() == {"$object"}:
                yield as_reference(item["$object"])
            else:
                stack.extend(item.values())


def object_of(reference: Reference, session: Session) -> Any:
    """Return the object of a reference.

    Raises:
        LookupError: it no longer exists.
    """
    found = session.get(reference.mapped, reference.key)
    if found is None:
        key = reference.key[0] if len(reference.key) == 1 else reference.key
        raise LookupError(f"expected {reference.mapped.__name__} {key!r} to be in the database, it is gone")
    return found


def _class_named(name: str, fits: Callable[[Any], bool]) -> Any:
    """Return the class of a dotted name, from modules that are already imported: a row imports nothing."""
    # why: decisions 2026-11-23, a name in a row is looked up among imported modules
    parts = str(name).split(".")
    for end in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:end]))
        if found is None:
            continue
        for part in parts[end:]:
            found = _content(found).get(part)
        if issubclass(type(found), type) and fits(found) and f"{found.__module__}.{found.__qualname__}" == name:
            return found
    raise InvalidJobData(f"expected the class {name} to be imported by the application, it is not")


def _content(found: Any) -> Mapping[str, Any]:
    """Return the attributes of a module or a class, else nothing; unlike `getattr`, run none of its code."""
    kind = type(found)  # isinstance would call the object
    if issubclass(kind, ModuleType):
        return cast("Mapping[str, Any]", object.__getattribute__(found, "__dict__"))
    return cast("Mapping[str, Any]", type.__dict__["__dict__"].__get__(found)) if issubclass(kind, type) else {}


def _is_enum(found: type[Any]) -> bool:
    return issubclass(found, Enum)


def _is_mapped(found: type[Any]) -> bool:
    return isinstance(mapping_of(found, raiseerr=False), Mapper)


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


# datetime before date: it is a subclass of date.
_SCALARS: tuple[tuple[type[Any], str, Callable[[Any], str], Callable[[str], Any]], ...] = (
    (datetime, "$datetime", datetime.isoformat, datetime.fromisoformat),
    (date, "$date", date.isoformat, date.fromisoformat),
    (Decimal, "$Decimal", str, Decimal),
    (UUID, "$UUID", str, UUID),
    (bytes, "$bytes", lambda value: base64.b64encode(value).decode(), _unbase64),
)
_READERS = {mark: read for _, mark, _, read in _SCALARS}
_COLLECTIONS: dict[type[Any], str] = {tuple: "$tuple", set: "$set", frozenset: "$frozenset"}
_MAKERS: dict[str, Callable[[Any], Any]] = {mark: kind for kind, mark in _COLLECTIONS.items()}
