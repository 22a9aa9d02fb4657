"""Check the values of a job's shared row before any statement: the two databases refuse different ones.

SQLite stores text as a priority, and PostgreSQL's own errors name no field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import ClauseElement

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments.json_data import is_text, shown
from jobcron.settings.settings import CHANNEL_NAME, CHANNEL_RULE

# why: decisions 2026-11-25, the values of a job's row are checked in Python
LARGEST = 2**31 - 1
"""The largest value of an integer column."""

MAX_TEXT_BYTES = 1 << 20

MAX_KEY_BYTES = 2000
"""The limit for a unique key: an index entry of PostgreSQL can have 2,704 bytes, the job's type included."""


def check_row_values(what: str, values: Mapping[str, object]) -> None:
    """Check the values of a new job's shared row; the database checks SQL expressions.

    Args:
        what: the name of the job class, for messages.
        values: the values by name; names that are not known here are ignored.

    Raises:
        InvalidJobData: a value does not fit; the message names it, the expected and the actual value.
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


def _is_number_from(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST


def _is_text_of(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: is_text(value) and least <= len(value.encode()) <= most


def _is_moment(value: object) -> bool:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return False
    with suppress(OverflowError):  # in another zone, the first or the last day of the calendar
        value.astimezone(UTC)
        return True
    return False


_TEXT = (f"text without NUL, of at most {MAX_TEXT_BYTES} bytes", _is_text_of(0, MAX_TEXT_BYTES))
_KEY = (f"text without NUL, of 1 to {MAX_KEY_BYTES} bytes", _is_text_of(1, MAX_KEY_BYTES))
_MOMENT = ("a datetime with a time zone", _is_moment)

_CHANNEL = (
    f"the name of a channel such as root.export ({CHANNEL_RULE})",
    lambda value: isinstance(value, str) and CHANNEL_NAME.fullmatch(value) is not None,
)

_FITTING: dict[str, tuple[str, Callable[[object], bool]]] = {
    "priority": (f"a whole number from {-LARGEST - 1} to {LARGEST}", _is_number_from(-LARGEST - 1)),
    "max_retries": (f"a whole number from 0 to {LARGEST}, or None", _is_number_from(0)),
    "scheduled_start": _MOMENT,
    "expires_at": _MOMENT,
    "requester": _TEXT,
    "description": _TEXT,
    "unique_key": _KEY,
    "queue_name": _KEY,
    "channel": _CHANNEL,
    "channel_key": _KEY,
}
