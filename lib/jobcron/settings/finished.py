"""Code of the user's that has to do its work while it is called: what only begins it is refused.

``async def`` and a ``yield`` make functions that return at once, with nothing done. Taken for success, a job of
such a function would be COMPLETED.
"""

from __future__ import annotations

import inspect
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
        f"expected {what} to do its work when it is called, got {type(result).__name__}, "
        "which would still have to be run"
    )
