"""Find classes by the names that rows hold, only in modules that are already imported (SECURITY.md)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from types import ModuleType
from typing import TypeGuard, TypeVar, cast

from jobcron.errors import InvalidJobData

Named = TypeVar("Named")


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


def class_named(name: str, fits: Callable[[type[object]], TypeGuard[type[Named]]]) -> type[Named]:
    """Return the class of a dotted name, from modules that are imported already: a row imports nothing.

    Raises:
        InvalidJobData: there is none, or it does not fit.
    """
    parts = str(name).split(".")
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
    raise InvalidJobData(f"expected the class {name} to be imported by the application, it is not")


def _content(found: object) -> Mapping[str, object]:
    """Return the attributes of a module or a class without running its code; empty for any other object."""
    kind = type(found)  # isinstance would ask the object
    if issubclass(kind, ModuleType):
        return cast("Mapping[str, object]", object.__getattribute__(found, "__dict__"))
    return cast("Mapping[str, object]", type.__dict__["__dict__"].__get__(found)) if issubclass(kind, type) else {}


def is_enum(found: type[object]) -> TypeGuard[type[Enum]]:
    """Tell whether a class is a standard enum."""
    return issubclass(found, Enum)
