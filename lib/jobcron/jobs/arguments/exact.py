"""What JSON, or PostgreSQL's jsonb, does not keep of a job's data, noted in the data itself.

A document of version 1 is plain JSON. One of version 2 may have a member ``$jobcron`` besides::

    {"version": 2,
     "order":  [[path, [key, …]], …],   # of objects: jsonb sorts keys by their length
     "floats": [[path, text], …],       # jsonb makes 1e+22 an integer, and -0.0 a 0.0
     "tuples": [path, …],               # JSON knows arrays
     "enums":  [[path, [class, name]], …]}   # of items that are texts or whole numbers

A path is the keys and indexes that lead to a value. What is there for a database to be asked for stays plain JSON.
Notes that do not fit are passed over: somebody has changed the row by SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Any

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments._names import class_named, enum_name_of, is_enum

VERSION = 2
"""Of the encoding that is written. All that were ever written are read: see ``tests/jobs/arguments/samples``."""

NOTES = "$jobcron"
"""The member of a job's data that is jobcron's own; read, it is there only where newer code has written it."""

Path = list[str | int]


def with_notes(document: Any, is_jsonb: bool) -> Any:
    """Return a job's data as it is written.

    Args:
        document: a dict of JSON and tuples; anything else is returned as it is.
        is_jsonb: whether the column is PostgreSQL's jsonb, which keeps values and not texts.
    """
    if not isinstance(document, dict):
        return document
    found: dict[str, list[Any]] = {"order": [], "floats": [], "tuples": [], "enums": []}
    for path, value in _walk(document, []):
        if isinstance(value, Enum):
            found["enums"].append([path, [enum_name_of(type(value), "an enum"), value.name]])
        elif isinstance(value, tuple):
            found["tuples"].append(path)
        elif is_jsonb and isinstance(value, dict) and [*value] != in_jsonb_order(value):
            found["order"].append([path, [*value]])
        elif is_jsonb and isinstance(value, float) and _looks_like_an_integer(value):
            found["floats"].append([path, repr(value)])
    notes = {name: content for name, content in found.items() if content}
    return {**document, NOTES: {"version": VERSION, **notes}} if notes else document


def in_jsonb_order(keys: Any) -> list[str]:
    """Return keys in the order in which jsonb keeps those of an object."""
    return sorted(keys, key=lambda key: (len(key.encode()), key.encode()))


def _looks_like_an_integer(value: float) -> bool:
    text = repr(value)
    return "e+" in text or text == "-0.0"


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Iterate over a value and all that is in it, the outer ones first."""
    yield path, value
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list | tuple | float | Enum):
            yield from _walk(item, [*path, key])


def without_notes(document: Any) -> Any:
    """Return a job's data as it was given, from what was written; of a newer version as it stands there."""
    if not isinstance(document, dict) or NOTES not in document:
        return document
    notes = document[NOTES]
    if not isinstance(notes, dict) or notes.get("version") != VERSION:
        return document
    del document[NOTES]
    for path, text in _pairs(notes, "floats"):
        _replace(document, path, partial(_as_float, text))
    for path, item in _pairs(notes, "enums"):
        _replace(document, path, partial(_as_enum, item))
    for path, keys in _pairs(notes, "order"):
        _replace(document, path, partial(_in_order, keys))
    for path in reversed(_list(notes, "tuples")):  # the inner ones first: nothing in a tuple can be replaced
        _replace(document, path, _as_tuple)
    return document


def _list(notes: dict[str, Any], name: str) -> list[Any]:
    found = notes.get(name)
    return found if isinstance(found, list) else []


def _pairs(notes: dict[str, Any], name: str) -> list[tuple[Any, Any]]:
    return [(pair[0], pair[1]) for pair in _list(notes, name) if isinstance(pair, list) and len(pair) == 2]


def _replace(document: dict[str, Any], path: Any, make: Callable[[Any], Any]) -> None:
    """Replace the value to which a path leads, if it leads to one."""
    with suppress(LookupError, TypeError, ValueError, OverflowError, InvalidJobData):
        place: Any = document
        if not path:
            make(place)
            return
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = make(place[path[-1]])


def _as_float(text: str, value: Any) -> Any:
    # Compared as floats: the integer that jsonb makes of -4.747372951291069e+16 is another number.
    is_number = type(value) in (int, float)
    return float(text) if is_number and float(value) == float(text) else value


def _as_enum(item: list[str], value: Any) -> Any:
    name, member = item
    found = class_named(name, is_enum)[member]
    return found if type(value) in (int, str) and found == value else value


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _in_order(keys: list[str], value: Any) -> Any:
    """Return an object whose keys are in this order, any others behind them."""
    if isinstance(value, dict):
        sorted_items = {key: value[key] for key in keys if key in value} | value
        value.clear()
        value.update(sorted_items)
    return value
