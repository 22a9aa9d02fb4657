"""Read durations and factors as applications give them: one place that converts them and refuses nonsense."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

from jobcron.errors import InvalidDuration

MAX_SECONDS = 3e8
"""About ten years: every database can store such a time."""

Duration = timedelta | float
"""A timedelta, or a number of seconds."""


def seconds_of(
    name: str,
    duration: object,
    *,
    allows_zero: bool = True,
    allows_past: bool = False,
    kinds: str = "a timedelta or a number of seconds",
) -> float:
    """Return a duration in seconds.

    Args:
        name: the name under which it was given, for messages.
        duration: a timedelta or a number of seconds.
        allows_zero: whether it may be 0.
        allows_past: whether it may be negative.
        kinds: what may be given, for messages.

    Raises:
        InvalidDuration: it is something else, negative, or longer than ten years.
    """
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else _number(duration)
    least = -MAX_SECONDS if allows_past else 0
    if seconds is None or not least <= seconds <= MAX_SECONDS or (seconds == 0 and not allows_zero):
        bounds = (
            "of at most ten years" if allows_past else f"{'' if allows_zero else 'longer than '}0 to ten years"
        )
        raise InvalidDuration(f"expected {name} to be {kinds}, {bounds}, got {duration!r}")
    return seconds


def as_configured(seconds: int) -> str:
    """Return a duration as configurations write it: 90 is 1m30s.

    Args:
        seconds: whole, at least 0.
    """
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size:
            parts.append(f"{seconds // size}{unit}")
            seconds %= size
    return "".join(parts) or "0s"


def factor_of(name: str, factor: object) -> float:
    """Return a factor by which a duration grows.

    Args:
        name: the name under which it was given, for messages.
        factor: a number.

    Raises:
        InvalidDuration: it is something else, negative, or not finite.
    """
    number = _number(factor)
    if number is None or not 0 <= number < math.inf:
        raise InvalidDuration(f"expected {name} to be a number, 0 or greater, got {factor!r}")
    return number


def _number(value: object) -> float | None:
    """Return a number, of Python's or another library's such type; None: the value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):  # a huge integer; a signalling NaN
        return None
