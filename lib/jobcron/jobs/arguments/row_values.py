"""The values of a job's shared row that callers give, checked before any statement: each database refuses others.

SQLite keeps a text as a priority, and PostgreSQL's own errors name no field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ClauseElement

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments.json_data import is_text, shown

LARGEST = 2**31 - 1
"""Of a column of whole numbers."""

MAX_TEXT_BYTES = 1 << 20

MAX_KEY_BYTES = 2000
"""Of a unique key: what an index of PostgreSQL takes is 2,704 bytes, with the job's type."""


def check_row_values(what: str, values: Mapping[str, Any]) -> None:
    """Check what a new job's shared row is to hold; SQL expressions are the database's to check.

    Args:
        what: whose they are, for messages.
        values: by name; other names than those known here are let be.

    Raises:
        InvalidJobData: one does not fit; the message names it, what was expected and what it is.
    """
    for name, (expected, fits) in _FITTING.items():
        value = values.get(name)
        if not (value is None or fits(value) or isinstance(value, ClauseElement)):
            raise InvalidJobData(f"expected {name} of {what} to be {expected}, got {shown(value)}")
    start, expiry = values.get("scheduled_start"), values.get("expires_at")
    if isinstance(start, datetime) and isinstance(expiry, datetime) and expiry <= start:
        raise InvalidJobData(
            f"expected expires_at of {what} to be after scheduled_start, {start.isoformat()}, "
            f"got {expiry.isoformat()}"
        )


def _is_number_from(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST


def _is_text_of(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: is_text(value) and least <= len(value.encode()) <= most


def _is_moment(value: Any) -> bool:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return False
    with suppress(OverflowError):  # the first and the last day that there are, elsewhere
        value.astimezone(UTC)
        return True
    return False


_TEXT = (f"text without NUL, of at most {MAX_TEXT_BYTES} bytes", _is_text_of(0, MAX_TEXT_BYTES))
_KEY = (f"text without NUL, of 1 to {MAX_KEY_BYTES} bytes", _is_text_of(1, MAX_KEY_BYTES))
_MOMENT = ("a datetime with a time zone", _is_moment)

_FITTING: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "priority": (f"a whole number from {-LARGEST - 1} to {LARGEST}", _is_number_from(-LARGEST - 1)),
    "max_retries": (f"a whole number from 0 to {LARGEST}, or None", _is_number_from(0)),
    "scheduled_start": _MOMENT,
    "expires_at": _MOMENT,
    "requester": _TEXT,
    "description": _TEXT,
    "unique_key": _KEY,
    "queue_name": _KEY,
}
