"""What attributes of a job say, where they may say anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def readable(read: Callable[[], float | None]) -> float | None:
    """Return a limit, or None where it cannot be read or makes no sense."""
    try:
        limit = read()
    except BaseException:  # `sys.exit` as well: nothing that a job says of itself ends the run
        return None
    return limit if isinstance(limit, int | float) else None


def as_tuple(types: Any) -> tuple[type[BaseException], ...]:
    """Return error types as a tuple, also where there is one type."""
    return (types,) if isinstance(types, type) else tuple(types)
