"""Greenlets, if the application uses any: gevent and eventlet run functions in them, and wait in one more."""

from __future__ import annotations

import sys
from typing import Protocol


class Greenlet(Protocol):
    """A greenlet, as the package of that name has it."""

    @property
    def parent(self) -> Greenlet | None:
        """The greenlet that continues when this one ends; None for the thread's own greenlet."""

    def throw(self, error: BaseException) -> object:
        """Switch to this greenlet, and raise an error in it."""


def current_greenlet() -> Greenlet | None:
    """Return the greenlet that runs now, or None if nothing has imported the package."""
    package = sys.modules.get("greenlet")
    if package is None:
        return None
    current: Greenlet = package.getcurrent()
    return current


def root_of(greenlet: Greenlet | None) -> Greenlet | None:
    """Return the greenlet in which the thread began."""
    while greenlet is not None and greenlet.parent is not None:
        greenlet = greenlet.parent
    return greenlet


def is_gevents(greenlet: Greenlet | None) -> bool:
    """Return whether a greenlet is gevent's: its event loop, or a greenlet that the loop runs."""
    return type(greenlet).__module__.partition(".")[0] == "gevent"
