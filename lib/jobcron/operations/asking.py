"""What people write to say which jobs they mean, read: statuses, durations, times, arguments, targets.

And the words in which they are told what has become of the jobs.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date, datetime, timedelta

from lazr.config import as_timedelta

from jobcron.errors import InvalidJobData
from jobcron.interfaces import JobStatus
from jobcron.jobs.arguments.json_data import check

STATUS_GROUPS = {status.name.lower(): (status,) for status in JobStatus} | {
    "pending": (JobStatus.WAITING, JobStatus.RUNNING, JobStatus.SUSPENDED, JobStatus.BLOCKED),
    "ended": (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED),
}
"""The names of statuses, and of groups of them, that people write."""

DONE = {
    "retry": "requeued",
    "cancel": "cancelled",
    "suspend": "suspended",
    "resume": "resumed",
    "set-done": "set done",
    "postpone": "postponed",
    "run-now": "made due",
    "priority": "changed",
    "move": "moved",
    "delete": "deleted",
    "undo": "put back",
}
"""What has become of jobs, by the name of the act. For programs it is always `moved`."""

LONGEST = timedelta(days=36500)
"""The longest duration that people may write."""

LONGEST_TEXT = 10_000
"""The longest text that may be looked for, in characters: SQLite looks for none of more than 50,000 bytes."""

YEARS = range(1970, 9001)
"""The years of times that people may write: those beside the limits of dates overflow in another zone."""


def statuses_of(text: str) -> tuple[JobStatus, ...]:
    """Return the statuses of a name, or of several with commas between them.

    Raises:
        ValueError: there is none of such a name; the message says what was expected.
    """
    found: set[JobStatus] = set()
    for name in text.lower().split(","):
        if name not in STATUS_GROUPS:
            raise ValueError(f"expected one of {', '.join(STATUS_GROUPS)}, got: {name!r}")
        found.update(STATUS_GROUPS[name])
    return tuple(sorted(found))


def age_of(text: str) -> timedelta:
    """Return a duration such as ``1h30m``.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    most = f", at most {LONGEST.days}d" if any(map(str.isdigit, text)) else ""
    with suppress(ValueError, OverflowError):
        found: timedelta = as_timedelta(text)
        if timedelta() <= found <= LONGEST:
            return found
    raise ValueError(f"expected a duration such as 30s, 10m or 2d{most}, got: {text!r}")


def day_of(text: str) -> date:
    """Return a day such as ``2026-11-30``.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    with suppress(ValueError):
        found = date.fromisoformat(text)
        if timedelta(days=1) < found - date.min and timedelta(days=1) < date.max - found:
            return found
    raise ValueError(f"expected a day such as 2026-11-30, got: {text!r}")


def text_of(text: str) -> str:
    """Return a text that is to be looked for.

    Raises:
        ValueError: it is too long; the message says what was expected.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"expected at most {LONGEST_TEXT:,} characters, got: {len(text):,}")
    return text


def number_of(text: str) -> int:
    """Return the number of a job.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    if text.isascii() and text.isdigit() and 0 < int(text[:20]) < 2**63:
        return int(text[:20])
    raise ValueError(f"expected the number of a job, got: {text!r}")


def argument_of(text: str) -> tuple[str, object]:
    """Return the name and the value of an argument, given ``NAME=VALUE``; a value that is not JSON is a text.

    Raises:
        ValueError: there is no name, or no job can have such an argument; the message says what was expected.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"expected NAME=VALUE, got: {text!r}")
    argument_name(name)
    found: object
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = value
    try:
        check({name: found}, "the argument")
    except InvalidJobData as error:
        raise ValueError(str(error)) from error
    return name, found


def argument_name(text: str) -> str:
    """Return the name of an argument that is to be looked for.

    Raises:
        ValueError: SQLite cannot look for it; the message says what was expected.
    """
    if not text_of(text).isprintable() or '"' in text or "\\" in text:
        raise ValueError(
            f"expected the name of an argument without quotes, backslashes and invisible characters, got: {text!r}"
        )
    return text


def moment_of(text: str) -> datetime:
    """Return a time with its zone, in ISO 8601.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None and found.year in YEARS:
            return found
    raise ValueError(f"expected a time with its zone such as 2026-11-30T08:00+01:00, got: {text!r}")


def target_of(text: str) -> tuple[str, str]:
    """Return the class and the key of a target, given ``CLASS:KEY``.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    name, colon, key = text.partition(":")
    if not name or not colon or not key:
        raise ValueError(f"expected CLASS:KEY such as shop.model.Order:1, got: {text!r}")
    return name, key
