"""Find classes by the names that rows hold, only in modules that are already imported (SECURITY.md)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum, Flag
from types import ModuleType
from typing import TypeGuard, TypeVar, cast

from jobcron.errors import InvalidJobData, MissingClass
from jobcron.settings.secrets import cut

Named = TypeVar("Named")

MAX_NAME = 200
"""The longest part of a row's text that a message shows, in characters."""


def name_of(named: type[object], what: str) -> str:
    """Return the name by which a class is found again.

    Raises:
        InvalidJobData: another process could not find it.
    """
    if "<locals>" in named.__qualname__ or named.__module__ == "__main__":
        raise InvalidJobData(
            f"expected {what} to be of a class that a module defines, which another process can import, "
            f"got {named.__module__}.{named.__qualname__}"
        )
    return f"{named.__module__}.{named.__qualname__}"


def enum_name_of(enum: type[Enum], what: str) -> str:
    """Return the name by which an enum is found again.

    Raises:
        InvalidJobData: as of `name_of`; or its module has another thing by that name.
    """
    name = name_of(enum, what)
    with suppress(InvalidJobData):
        if class_named(name, is_enum) is enum:
            return name
    raise InvalidJobData(f"expected {what} to be of an enum that its module has by its name, got {name}")


def class_named(name: object, fits: Callable[[type[object]], TypeGuard[type[Named]]]) -> type[Named]:
    """Return the class of a dotted name, from modules that are imported already: a row imports nothing.

    Raises:
        InvalidJobData: the name is no text.
        MissingClass: there is no such class, or it does not fit.
    """
    if not isinstance(name, str):
        raise InvalidJobData(f"expected the name of a class, got {cut(repr(name), MAX_NAME)}")
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        found: object = sys.modules.get(".".join(parts[:end]))
        if found is None:
            continue
        for part in parts[end:]:
            found = _content(found).get(part)
        if issubclass(type(found), type):  # isinstance would ask the object
            named = cast("type[object]", found)
            if fits(named) and f"{named.__module__}.{named.__qualname__}" == name:
                return named
    short = cut(name, MAX_NAME)
    raise MissingClass(
        f"the class {short}", f"expected the class {short} to be imported by the application, it is not"
    )


def member_named(enum: type[Enum], name: object) -> Enum:
    """Return the item of an enum that a row names.

    Raises:
        InvalidJobData: the name is no text.
        MissingClass: the enum has no such item: another release has it.
    """
    if not isinstance(name, str):
        raise InvalidJobData(
            f"expected the name of an item of {enum.__qualname__}, got {cut(repr(name), MAX_NAME)}"
        )
    if name in enum.__members__:
        return enum[name]
    raise _missing(enum, cut(name, MAX_NAME))


def flags_of(enum: type[Flag], value: object) -> Flag:
    """Return the flags whose number a row has.

    Raises:
        InvalidJobData: it is no whole number.
        MissingClass: the enum has no such flags: another release has them.
    """
    if type(value) is not int:
        raise InvalidJobData(
            f"expected the number of flags of {enum.__qualname__}, got {cut(repr(value), MAX_NAME)}"
        )
    try:
        return enum(value)
    except ValueError:
        raise _missing(enum, str(value)) from None


def _missing(enum: type[Enum], item: str) -> MissingClass:
    name = f"{enum.__module__}.{enum.__qualname__}"
    return MissingClass(f"the item {item} of {name}", f"expected {name} to have the item {item}, it has not")


def _content(found: object) -> Mapping[str, object]:
    """Return the attributes of a module or a class without running its code; empty for any other object."""
    kind = type(found)  # isinstance would ask the object
    if issubclass(kind, ModuleType):
        return cast("Mapping[str, object]", object.__getattribute__(found, "__dict__"))
    return cast("Mapping[str, object]", type.__dict__["__dict__"].__get__(found)) if issubclass(kind, type) else {}


def is_enum(found: type[object]) -> TypeGuard[type[Enum]]:
    """Tell whether a class is a standard enum."""
    return issubclass(found, Enum)


def is_flag(found: type[object]) -> TypeGuard[type[Flag]]:
    """Tell whether a class is a standard enum of flags."""
    return issubclass(found, Flag)
