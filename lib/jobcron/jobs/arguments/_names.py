"""Classes by the names that rows have: only what code has imported already is found (SECURITY.md)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from types import ModuleType
from typing import Any, cast

from jobcron.errors import InvalidJobData


def name_of(named: type[Any], what: str) -> str:
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


def class_named(name: str, fits: Callable[[Any], bool]) -> Any:
    """Return the class of a dotted name, from modules that are imported already: a row imports nothing.

    Raises:
        InvalidJobData: there is none, or it does not fit.
    """
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
    """Return what a module or a class holds; of others nothing. None of its code runs, as by `getattr`."""
    kind = type(found)  # isinstance would ask the object
    if issubclass(kind, ModuleType):
        return cast("Mapping[str, Any]", object.__getattribute__(found, "__dict__"))
    return cast("Mapping[str, Any]", type.__dict__["__dict__"].__get__(found)) if issubclass(kind, type) else {}


def is_enum(found: type[Any]) -> bool:
    """Tell whether a class is a standard enum."""
    return issubclass(found, Enum)
