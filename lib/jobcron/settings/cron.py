"""Cron's expressions: check them, and say when they are due by a clock without time zone. cronsim parses them.

Time zones are the subject of `jobcron.schedules.timetable`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from cronsim import CronSim, CronSimError

PERIODS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""The meaning of cron's words."""

REBOOT = "@reboot"
"""A word of cron's that has no period."""

FIELDS = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day-of-month": (1, 31),
    "month": (1, 12),
    "day-of-week": (0, 7),
}
"""The five fields, as cronsim calls them, with their bounds."""

MAX_LENGTH = 1000

YEARS = 4
"""These contain every date, and each on nearly every day of the week."""

_START = datetime(2024, 1, 1)

_CHARACTERS = re.compile(r"[0-9A-Za-z*,/#-]+")


def check_expression(text: str) -> str:
    """Return an expression with single blanks between its fields, or one of the words, once it is checked.

    Raises:
        ValueError: it is invalid; the message says what was expected.
    """
    if text.startswith("@"):
        if text not in PERIODS:
            raise ValueError(f"one of {', '.join(PERIODS)}, or five fields")
        return text
    given = text.split()
    if len(given) != len(FIELDS) or len(text) > MAX_LENGTH:
        raise ValueError("five fields (minute, hour, day of the month, month, day of the week), such as * * * * *")
    for name, value in zip(FIELDS, given, strict=True):
        if not _CHARACTERS.fullmatch(value):
            raise ValueError(_wanted(name))
    try:
        next(CronSim(" ".join(given), _START))
    except CronSimError as error:
        if _is_no_date(given):
            raise ValueError("a day that the month has") from error
        raise ValueError(_wanted(str(error).removeprefix("Bad "))) from error
    except StopIteration:
        raise ValueError("an expression that is due at some time, such as 0 3 * * *") from None
    except (AssertionError, TypeError, ValueError) as error:  # such as 5L/2, or a number of 5000 digits
        raise ValueError("an expression that cron has, such as 0 3 * * *") from error
    return " ".join(given)


def check_schedule(text: str) -> str:
    """Return a line's schedule as `check_expression` does, if every cron accepts it.

    Raises:
        ValueError: some would not; the message says which field is wrong.
    """
    if text.startswith("@"):
        if text not in (*PERIODS, REBOOT):
            raise ValueError(f"one of {', '.join((*PERIODS, REBOOT))}, or five fields")
        return text
    for (name, (_, most)), value in zip(FIELDS.items(), text.split(), strict=False):
        for part in value.split(","):
            items, slash, step = part.partition("/")
            is_range = items == "*" or "-" in items
            if slash and not (is_range and step.isascii() and step.isdigit() and 1 <= int(step[:9]) <= most):
                raise ValueError(_wanted(name))
            if "#" in part or re.search("(?i)^[0-9]*LW?$", part):
                raise ValueError(_wanted(name))
    return check_expression(text)


def _is_no_date(given: list[str]) -> bool:
    """Return whether each field is valid, but no month has such a day, such as the 31st of February."""
    minute, hour, day, _, weekday = given
    try:
        next(CronSim(f"{minute} {hour} {day} * {weekday}", _START))
        next(CronSim(" ".join([minute, hour, "*", *given[3:]]), _START))
    except (CronSimError, StopIteration):
        return False
    return True


def _wanted(field: str) -> str:
    if field not in FIELDS:
        return "an expression that cron has, such as 0 3 * * *"
    least, most = FIELDS[field]
    name = re.sub("day-of-(.*)", r"day of the \1", field)
    return f"{name} to be *, a number from {least} to {most}, a range, a step or a list of these"


def fields_of(expression: str) -> list[str]:
    """Return the five fields of a checked expression."""
    return PERIODS.get(expression, expression).split()


def local_times(expression: str, after: datetime) -> Iterator[datetime]:
    """Iterate over the times that match a checked expression, by a clock that is never changed.

    Args:
        expression: it is checked.
        after: without a time zone; the first time is later.
    """
    try:
        yield from CronSim(" ".join(fields_of(expression)), after)
    except OverflowError:  # the end of the calendar
        return


def next_start(schedule: str, after: datetime) -> datetime | None:
    """Return when cron on this machine, by its local clock, starts a checked schedule next; None: nobody knows.

    Args:
        schedule: it is checked.
        after: with a time zone; the start is later.
    """
    if schedule == REBOOT:
        return None
    local = after.astimezone().replace(tzinfo=None)
    found = next(local_times(schedule, local), None)
    return found and found.astimezone(UTC)


@lru_cache(maxsize=1000)
def longest_pause(schedule: str) -> timedelta | None:
    """Return the longest time between two starts of a checked schedule in four years; None if it has no period.

    It takes a tenth of a second, and whoever looks at sections asks again and again: what was found is kept.
    """
    if schedule == REBOOT:
        return None
    minute, hour, *days = fields_of(schedule)
    # Days and times of the day apart: four years have two million minutes.
    end = _START + timedelta(days=1)
    moments = _until(f"{minute} {hour} * * *", _START - timedelta(minutes=1), end)
    end = _START.replace(year=_START.year + YEARS)
    dates = _until(f"0 0 {' '.join(days)}", _START - timedelta(minutes=1), end)
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    over_night = moments[0] - moments[-1]
    pauses += [later - earlier + over_night for earlier, later in pairwise(dates)]
    return max(pauses, default=None)


def _until(expression: str, after: datetime, end: datetime) -> list[datetime]:
    found = []
    for moment in local_times(expression, after):
        if moment >= end:
            break
        found.append(moment)
    return found
