"""Read times as callers give them: a datetime, an offset, seconds, or a short text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobcron.database.clock import database_now
from jobcron.errors import InvalidJobData

UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

_OFFSET = re.compile(r"\s*([0-9]{1,9})\s*([wdhms])\s*")


def moment_of(session: Session, eta: datetime | timedelta | float) -> datetime:
    """Return the time of an ``eta``, by the database's clock; a datetime without a zone is UTC.

    Raises:
        InvalidJobData: it is not a valid ``eta``.
    """
    if isinstance(eta, datetime):
        return eta if eta.tzinfo else eta.replace(tzinfo=UTC)
    if isinstance(eta, bool) or not isinstance(eta, timedelta | int | float):
        raise InvalidJobData(f"expected eta to be a datetime, a timedelta or seconds, got {eta!r}")
    now = session.scalars(select(database_now())).one()
    try:
        return now + (eta if isinstance(eta, timedelta) else timedelta(seconds=eta))
    except (OverflowError, ValueError) as error:
        raise InvalidJobData(f"expected eta to be a time that can be, got {eta!r}") from error


def offset_of(when: datetime | timedelta | str) -> datetime | timedelta:
    """Return a time or an offset; a text is the short form of an offset.

    Raises:
        InvalidJobData: the text is not an offset.
    """
    if not isinstance(when, str):
        if not isinstance(when, datetime | timedelta):
            raise InvalidJobData(f"expected a datetime, a timedelta or a text such as 5d or 3h, got {when!r}")
        return when
    match = _OFFSET.fullmatch(when)
    if match is None:
        raise InvalidJobData(f"expected a time such as 5d, 3h, 10m, 30s or 2w, got {when!r}")
    try:
        return timedelta(**{UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise InvalidJobData(f"expected a time that can be, got {when!r}") from error


def later(start: datetime, offset: timedelta) -> datetime:
    """Return the time that lies `offset` after `start`.

    Raises:
        InvalidJobData: the time is out of range.
    """
    try:
        return start + offset
    except OverflowError as error:
        raise InvalidJobData(f"expected expires to be a time that can be, got {offset!r}") from error
