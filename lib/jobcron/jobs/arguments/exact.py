"""Preserve what JSON, or PostgreSQL's jsonb, loses of a job's data, by notes in the data itself.

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

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import cast

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments._names import class_named, enum_name_of, is_enum

VERSION = 2
"""The version of the encoding that is written; all older ones are read: see ``tests/jobs/arguments/samples``."""

NOTES = "$jobcron"
"""The key of the notes in a job's data; after reading, it is there only if a newer version wrote it."""

Path = list[str | int]


def with_notes(document: object, is_jsonb: bool) -> object:
    """Return a job's data as it is written.

    Args:
        document: a dict of JSON and tuples; anything else is returned as it is.
        is_jsonb: whether the column is PostgreSQL's jsonb, which keeps values and not texts.
    """
    if not isinstance(document, dict) or not document:
        return document
    found: dict[str, list[object]] = {"order": [], "floats": [], "tuples": [], "enums": []}
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


def in_jsonb_order(keys: Iterable[str]) -> list[str]:
    """Return keys in the order in which jsonb keeps those of an object."""
    return sorted(keys, key=lambda key: (len(key.encode()), key.encode()))


def _looks_like_an_integer(value: float) -> bool:
    text = repr(value)
    return "e+" in text or text == "-0.0"


def _walk(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    """Iterate over a value and all that is in it, the outer ones first."""
    yield path, value
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list | tuple | float | Enum):
            yield from _walk(item, [*path, key])


def without_notes(document: object) -> object:
    """Restore a job's data from what was written; data of a newer version stays as it is."""
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


def _list(notes: dict[str, object], name: str) -> list[object]:
    found = notes.get(name)
    return found if isinstance(found, list) else []


def _pairs(notes: dict[str, object], name: str) -> list[tuple[object, object]]:
    return [(pair[0], pair[1]) for pair in _list(notes, name) if isinstance(pair, list) and len(pair) == 2]


def _replace(document: dict[str, object], path: object, make: Callable[[object], object]) -> None:
    """Replace the value to which a path leads, if it leads to one."""
    with suppress(LookupError, TypeError, ValueError, OverflowError, InvalidJobData):
        if not path:
            make(document)
        elif isinstance(path, list):
            *outer, last = path
            place: object = document
            for key in outer:
                place = _container(place)[key]
            container = _container(place)
            container[last] = make(container[last])


def _container(place: object) -> dict[object, object]:
    """Return an object or an array of JSON; the caller handles the error of an index that does not fit.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(place, dict | list):
        raise TypeError("expected an object or an array")
    return cast("dict[object, object]", place)


def _as_float(text: object, value: object) -> object:
    # Compared as floats: the integer that jsonb makes of -4.747372951291069e+16 is another number.
    if not isinstance(text, str) or not isinstance(value, int | float) or isinstance(value, bool):
        return value
    return float(text) if float(value) == float(text) else value


def _as_enum(item: object, value: object) -> object:
    if not isinstance(item, list):
        return value
    name, member = item
    found = class_named(name, is_enum)[member]
    return found if type(value) in (int, str) and found == value else value


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _in_order(keys: object, value: object) -> object:
    """Return an object whose keys are in this order, any others behind them."""
    if isinstance(value, dict) and isinstance(keys, list):
        sorted_items = {key: value[key] for key in keys if key in value} | value
        value.clear()
        value.update(sorted_items)
    return value
