"""One thing that belongs to the process: how to read it, and how to put it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Instead(NamedTuple):
    """The state to restore instead of the one that was noted."""

    state: object


class Item(NamedTuple):
    """A part of the process's state.

    Attributes:
        name: what it is called in messages.
        read: returns its present state. It is called for each job, so it has to be cheap; states are compared
            by ``==``, which begins with identity.
        write: sets it from its present state back to a noted one: ``write(noted, now)``. Returns `Instead` if
            that one cannot come back.
    """

    name: str
    read: Callable[[], object]
    write: Callable[..., object]


def of_attributes(name: str, *places: tuple[object, str]) -> Item:
    """Return the item of attributes of modules.

    Args:
        name: see `Item`.
        places: each a module and the name of an attribute.
    """

    def read() -> list[object]:
        return [vars(module)[attribute] for module, attribute in places]

    def write(noted: Sequence[object], now: Sequence[object]) -> None:
        for (module, attribute), value in zip(places, noted, strict=True):
            setattr(module, attribute, value)

    return Item(name, read, write)
