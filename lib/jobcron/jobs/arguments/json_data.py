"""Check the JSON data of a job's row, and limit its size (SECURITY.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from enum import Enum
from typing import TypeAlias, TypeGuard, cast

from sqlalchemy import JSON, Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments._names import enum_name_of
from jobcron.jobs.arguments.exact import NOTES, with_notes, without_notes

MAX_BYTES = 1 << 20
MAX_LEVELS = 32

MAX_BITS = 4096
"""The limit for a whole number: Python itself refuses to print one with many thousands of digits."""


JSONValue: TypeAlias = "None | bool | int | float | str | list[JSONValue] | dict[str, JSONValue]"
"""A value that JSON has."""


_AS_TEXT = json.JSONEncoder(ensure_ascii=False)
"""Writes JSON; `json.dumps` would make one for each call."""


class DataRefused(InvalidJobData, DontWrapMixin):
    """Data that a statement was about to write; SQLAlchemy raises this error without wrapping it."""


def check(value: object, what: str, max_bytes: int = MAX_BYTES, max_levels: int = MAX_LEVELS) -> None:
    """Check that a value is JSON that every database can store, and within the limits.

    Args:
        value: the value; a tuple, or an item of an enum that is a text, is read as that again (see `exact`).
        what: its name, for messages.
        max_bytes: the limit for its text in UTF-8.
        max_levels: the limit for nested arrays and objects.

    Raises:
        InvalidJobData: it is not; the message names the place in it.
    """
    _check_level(value, what, max_levels, max_levels)
    size = len(_AS_TEXT.encode(value).encode())
    if size > max_bytes:
        raise InvalidJobData(f"expected {what} to be at most {max_bytes} bytes of JSON, got {size}")


def check_document(value: object, what: str, max_bytes: int, max_levels: int) -> None:
    """Check all of a job's data, as `check` does.

    Raises:
        InvalidJobData: as of `check`; or it has a member with a name that is jobcron's own.
    """
    if type(value) is dict and not value:
        return  # as of most jobs with a family's table
    if isinstance(value, dict) and NOTES in value:
        raise InvalidJobData(f"expected {what} to have no member {NOTES}: jobcron keeps notes of its own there")
    check(value, what, max_bytes, max_levels)


def _check_level(value: object, what: str, levels: int, max_levels: int) -> None:
    # The exact types: of a subclass nobody would get back what was given.
    if value is None or type(value) is bool:
        return
    if type(value) is int:
        if value.bit_length() > MAX_BITS:
            raise InvalidJobData(f"expected {what} to be a number of at most {MAX_BITS} bits, got a larger one")
    elif type(value) is str:
        _check_text(value, what)
    elif type(value) is float:
        if not math.isfinite(value):
            raise InvalidJobData(f"expected {what} to be a finite number, got {value!r}")
    elif type(value) in (dict, list, tuple):
        if levels == 0:
            raise InvalidJobData(f"expected {what} to be at most {max_levels} levels deep, it is deeper")
        for place, item in _items(value, what):
            _check_level(item, place, levels - 1, max_levels)
    elif isinstance(value, Enum) and isinstance(value, int | str) and is_member(value):
        enum_name_of(type(value), what)
        _check_level(value.value, what, levels, max_levels)
    else:
        raise InvalidJobData(
            f"expected {what} to be JSON (text, number, true, false, null, array or object), "
            f"got {shown(value)}{instead_of(value)}"
        )


def is_member(value: Enum) -> bool:
    """Return whether an enum has this item under its name; combined flags have none."""
    return type(value).__members__.get(value.name) is value


def instead_of(value: object) -> str:
    """Return a hint for a message: the plain type to use instead of a subclass; empty if there is none."""
    for kind in (bool, int, float, str, dict, list, tuple):
        if isinstance(value, kind):
            return f"; it would be read back as a plain {kind.__name__}: pass that"
    return ""


def _items(value: object, what: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, list | tuple):
        yield from ((f"{what}[{number}]", item) for number, item in enumerate(value))
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise InvalidJobData(f"expected the keys of {what} to be text, got {shown(key)}")
            _check_text(key, f"a key of {what}")
            yield f"{what}[{key!r}]", item


def is_text(value: object) -> TypeGuard[str]:
    """Return whether a value is text that every database can store: no NUL, no lone surrogates."""
    if not isinstance(value, str) or "\0" in value:
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _check_text(text: str, what: str) -> None:
    if is_text(text):
        return
    for character in text:
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise InvalidJobData(
                f"expected {what} to be text that databases can keep, got one with the character {character!a}"
            )


def shown(value: object) -> str:
    """Return a value's type and representation, for a message."""
    return f"{type(value).__name__}: {cut_repr(value)}"


def cut_repr(value: object, length: int = 200) -> str:
    """Return a value's representation for a message, cut to `length` characters."""
    try:
        text = repr(value)
    except Exception:
        text = object.__repr__(value)
    return text if len(text) <= length else f"{text[:length]}…"


_ceiling = {"bytes": MAX_BYTES, "levels": MAX_LEVELS}


def allow(max_bytes: int, max_levels: int) -> None:
    """Raise the limits of the column to those of a class that allows more."""
    _ceiling["bytes"] = max(_ceiling["bytes"], max_bytes)
    _ceiling["levels"] = max(_ceiling["levels"], max_levels)


class JobData(TypeDecorator[dict[str, object]]):
    """The column of a job's data: JSON that passes `check` at every write, also after a change in place."""

    impl = JSON().with_variant(JSONB(), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> object:
        """Return the value for the driver."""
        if isinstance(value, MutableDict):
            value = dict.copy(value)  # of what nobody changes, so nothing is to be noticed
        try:
            check_document(value, "metadata", _ceiling["bytes"], _ceiling["levels"])
        except InvalidJobData as error:
            raise DataRefused(str(error)) from None
        return with_notes(value, is_jsonb=dialect.name == "postgresql")

    def process_result_value(self, value: object, dialect: Dialect) -> dict[str, object] | None:
        """Return what the application sees."""
        return cast("dict[str, object] | None", without_notes(value))  # unless somebody wrote other JSON by SQL

    def coerce_compared_value(self, op: OperatorType | None, value: object) -> TypeEngine[object]:
        """Leave comparisons with parts of the data to JSON's own type."""
        return self.impl.coerce_compared_value(op, value)  # type: ignore[no-untyped-call, unused-ignore]
