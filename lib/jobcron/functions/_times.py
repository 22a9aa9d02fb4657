"""Read times as callers give them: a datetime, a timedelta, a number of seconds, or a string such as "5d"."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobcron.database.clock import database_now
from jobcron.errors import InvalidJobData
from jobcron.settings.durations import Duration, seconds_of

UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

KINDS = "a datetime, a timedelta or a number of seconds"

_OFFSET = re.compile(r"\s*([0-9]{1,9})\s*([wdhms])\s*")


def moment_of(session: Session, eta: datetime | Duration) -> datetime:
    """Return an ``eta`` as a time, by the database's clock; a datetime without a zone is UTC.

    Args:
        session: a session of the database.
        eta: a time, or an offset from now.

    Raises:
        InvalidDuration: `eta` is not valid.
    """
    if isinstance(eta, datetime):
        return eta if eta.tzinfo else eta.replace(tzinfo=UTC)
    seconds = seconds_of("eta", eta, kinds=KINDS)
    return session.scalars(select(database_now())).one() + timedelta(seconds=seconds)


def offset_of(name: str, when: datetime | Duration | str) -> datetime | timedelta:
    """Return a time or an offset; a string such as "5d" becomes an offset.

    Args:
        name: the name under which it was given, for messages.
        when: a time or an offset.

    Raises:
        InvalidJobData: `when` is neither.
    """
    if isinstance(when, datetime):
        return when
    if not isinstance(when, str):
        return timedelta(seconds=seconds_of(name, when, kinds=f"{KINDS}, or a text such as 5d or 3h"))
    match = _OFFSET.fullmatch(when)
    if match is None:
        raise InvalidJobData(f"expected a time such as 5d, 3h, 10m, 30s or 2w, got {when!r}")
    try:
        return timedelta(**{UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise InvalidJobData(f"expected a time within the calendar, got {when!r}") from error


def later(start: datetime, offset: timedelta) -> datetime:
    """Return the time that lies `offset` after `start`.

    Raises:
        InvalidJobData: the time is out of range.
    """
    try:
        return start + offset
    except OverflowError as error:
        raise InvalidJobData(f"expected expires to be a time within the calendar, got {offset!r}") from error
