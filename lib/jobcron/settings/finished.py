"""Refuse functions that do nothing when they are called, and results that somebody would still have to run.

``async def`` and a ``yield`` make functions that return at once, with nothing done. Taken for success, a job of
such a function would be COMPLETED.
"""

from __future__ import annotations

import inspect
from typing import TypeVar

from jobcron.errors import IncompleteJobType

Result = TypeVar("Result")

GENERATOR = "a function with yield"


def laziness(function: object) -> str | None:
    """Return the kind of a function that does nothing when it is called, such as ``async def``, or None."""
    if inspect.iscoroutinefunction(function):
        return "async def"
    if inspect.isasyncgenfunction(function):
        return "async def with yield"
    if inspect.isgeneratorfunction(function):
        return GENERATOR
    return None


def finished(result: Result, what: str, is_iterated: bool = False) -> Result:
    """Return the result of a call, unless it still has to be run.

    Args:
        result: what it has returned.
        what: was called, for messages.
        is_iterated: whether the caller iterates over it, so that a generator does its work then.

    Raises:
        IncompleteJobType: it is a coroutine, another awaitable, or a generator, which somebody would have to run.
    """
    if result is None:
        return result
    is_lazy = inspect.isawaitable(result) or inspect.isasyncgen(result)
    if not (is_lazy or (inspect.isgenerator(result) and not is_iterated)):
        return result
    if inspect.iscoroutine(result):
        result.close()  # else Python warns that it was never awaited
    raise IncompleteJobType(
        f"expected {what} to do its work when it is called, got {type(result).__name__}, "
        "which would still have to be run"
    )
