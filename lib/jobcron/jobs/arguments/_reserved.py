"""Refuse arguments with names that every job has: their annotation would declare nothing, in silence."""

from __future__ import annotations

import re
from typing import get_origin

from jobcron.errors import IncompleteJobType

_OBJECTS = ("job", "context", "session", "metadata")
"""Attributes of every job that a class may annotate with their own classes, for type checkers."""

_SCALARS = "bool|bytes|int|float|complex|str|Decimal|date|datetime|time|timedelta|UUID"

_CONTAINERS = "[Ll]ist|[Ss]et|[Ff]rozen[Ss]et|[Tt]uple|[Dd]ict"

_PLAIN = re.compile(rf"\s*(<class '|(\w+\.)*Optional\[|None\s*\|)?\s*(\w+\.)*({_SCALARS}|{_CONTAINERS})\b")
"""An annotation of a value that an argument may have, and none of those attributes has."""

_OF_METADATA = re.compile(r"\s*(<class ')?(\w+\.)*[Dd]ict\b")


def check_name(owner: type[object], name: str, annotation: object, delegated: frozenset[str]) -> None:
    """Check that what a class annotates is an argument, or what every job has by this name.

    Args:
        owner: the class.
        name: the annotated name.
        annotation: its annotation, as it is or as a text.
        delegated: the names that no annotation can mean.

    Raises:
        IncompleteJobType: it looks like an argument, and every job has something else by its name.
    """
    is_taken = name in delegated or (name in _OBJECTS and _is_value(name, annotation))
    if is_taken and not callable(vars(owner).get(name)):
        raise IncompleteJobType(
            f"expected the arguments of {owner.__module__}.{owner.__qualname__} to have names of their own, "
            f"got {name}, which every job has"
        )


def _is_value(name: str, annotation: object) -> bool:
    text = _text_of(annotation)
    return _PLAIN.match(text) is not None and not (name == "metadata" and _OF_METADATA.match(text))


def _text_of(annotation: object) -> str:
    if isinstance(annotation, str):
        return annotation
    # A union prints its members; a class, or a container of something, is shown by the class.
    origin = get_origin(annotation)
    return str(origin if isinstance(origin, type) and origin.__module__ == "builtins" else annotation)
