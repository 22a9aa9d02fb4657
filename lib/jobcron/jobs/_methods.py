"""The methods of a class of jobs have to do their work when they are called."""

from __future__ import annotations

import inspect
from typing import Any

from jobcron.errors import IncompleteJobType
from jobcron.settings.finished import GENERATOR, laziness

_CALLED = (
    "run",
    "afterFailure",
    "notifyOops",
    "notifyUserError",
    "getOperationDescription",
    "contextManager",
    "create",
    "acquire",
    "createMultiple",
    "get",
    "load",
)
"""Methods that would do nothing if they were ``async def`` or had a ``yield``."""

_ITERATED = ("iterReady", "about", "getOopsVars", "getOopsRecipients", "getErrorRecipients")
"""Methods that may have a ``yield``."""


def check_methods(owner: type[Any]) -> None:
    """Check that the methods of a class of jobs do their work when they are called.

    Raises:
        IncompleteJobType: one of them does not; the message names it.
    """
    for name in (*_CALLED, *_ITERATED):
        method = inspect.getattr_static(owner, name, None)
        lazy = laziness(getattr(method, "__func__", method))  # any object: a classmethod, or a function
        if lazy and not (name in _ITERATED and lazy == GENERATOR):
            raise IncompleteJobType(
                f"expected {name} of {owner.__module__}.{owner.__qualname__} to do its work when it is called, "
                f"got {lazy}"
            )
