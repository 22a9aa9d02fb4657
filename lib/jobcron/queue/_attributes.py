"""Read attributes of a job that may have any value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, cast


def readable(read: Callable[[], float | None]) -> float | None:
    """Return a limit, or None if it cannot be read or makes no sense."""
    try:
        limit = read()
    except BaseException:  # `sys.exit` as well: nothing that a job says of itself ends the run
        return None
    return limit if isinstance(limit, int | float) else None


def as_tuple(types: object) -> tuple[type[BaseException], ...]:
    """Return error types as a tuple, even if only one type is given."""
    return (types,) if isinstance(types, type) else tuple(cast("Iterable[type[BaseException]]", types))


def told_with(told: Iterable[tuple[object, object]], arguments: object) -> list[tuple[str, object]]:
    """Return the variables of a report, with the job's arguments added unless they are there already."""
    variables = [(str(name), value) for name, value in told]
    if arguments is not None and "arguments" not in dict(variables):
        variables.append(("arguments", arguments))
    return variables


class ProcessLimits(NamedTuple):
    """The limits that the parent of an isolated job enforces.

    Attributes:
        seconds: how long the job may run, or None.
        memory: bytes that the job's processes may use, or None.
        output: bytes that they may print.
    """

    seconds: float | None
    memory: float | None
    output: float
