"""Code of the user's that has to do its work while it is called: what only begins it is refused.

``async def`` and a ``yield`` make functions that return at once, with nothing done. Taken for success, a job of
such a function would be COMPLETED.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

from jobcron.errors import IncompleteJobType

Result = TypeVar("Result")

GENERATOR = "a function with yield"


def laziness(function: Any) -> str | None:
    """Return what a function is that only begins its work when it is called; None for one that does it."""
    if inspect.iscoroutinefunction(function):
        return "async def"
    if inspect.isasyncgenfunction(function):
        return "async def with yield"
    if inspect.isgeneratorfunction(function):
        return GENERATOR
    return None


def finished(result: Result, what: str, is_iterated: bool = False) -> Result:
    """Return what a call has returned, if its work is done.

    Args:
        result: what it has returned.
        what: was called, for messages.
        is_iterated: whether the caller iterates over it, so that a generator does its work then.

    Raises:
        IncompleteJobType: it is a coroutine, another awaitable, or a generator, which somebody would have to run.
    """
    is_lazy = inspect.isawaitable(result) or inspect.isasyncgen(result)
    if not (is_lazy or (inspect.isgenerator(result) and not is_iterated)):
        return result
    if inspect.iscoroutine(result):
        result.close()  # else Python warns that it was never awaited
    raise IncompleteJobType(
        f"expected {what} to do its work when it is called, got {type(result).__name__}, which would still have to "
        "be run"
    )


def check_methods(owner: type[Any], names: Iterable[str], iterated: Iterable[str]) -> None:
    """Check that methods of a class do their work when they are called; those that it has not are no fault.

    Args:
        owner: the class.
        names: of methods whose results are used as they are, or not at all.
        iterated: names of methods over whose results the caller iterates: they may be generators.

    Raises:
        IncompleteJobType: one of them does not; the message names it.
    """
    for name in (*names, *iterated):
        method = inspect.getattr_static(owner, name, None)
        lazy = laziness(getattr(method, "__func__", method))  # any object: a classmethod or a staticmethod
        if lazy and not (name in iterated and lazy == GENERATOR):
            raise IncompleteJobType(
                f"expected {name} of {owner.__module__}.{owner.__qualname__} to do its work when it is called, got "
                f"{lazy}"
            )
