"""Schedules of cron: the five fields of a crontab line, or one of its words (crontab(5))."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import NamedTuple

WORDS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@reboot")


class Field(NamedTuple):
    """One of the five fields: its name, its bounds, and the names of its values from the lower bound on."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of the week", 0, 7, DAYS),
)

_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,2}))?")


def check_schedule(text: str) -> str:
    """Return a schedule with single blanks between its fields, once it is checked.

    Raises:
        ValueError: cron would not accept it; the message says which field is wrong.
    """
    if text.startswith("@"):
        if text not in WORDS:
            raise ValueError(f"one of {', '.join(WORDS)}, or five fields")
        return text
    given = text.split()
    if len(given) != len(FIELDS):
        raise ValueError("five fields (minute, hour, day of the month, month, day of the week), such as * * * * *")
    for field, value in zip(FIELDS, given, strict=True):
        for part in value.split(","):
            _check_part(field, part)
    return " ".join(given)


def _check_part(field: Field, part: str) -> None:
    match = _PART.fullmatch(part)
    wanted = (
        f"{field.name} to be *, a number from {field.least} to {field.most}, a range, a step or a list of these"
    )
    if match is None:
        raise ValueError(wanted)
    if match["step"]:
        of_one_number = match["first"] and not match["last"]
        if of_one_number or not 1 <= int(match["step"]) <= field.most:
            raise ValueError(wanted)
    if match["first"]:
        first = _number(field, match["first"])
        last = _number(field, match["last"]) if match["last"] else first
        if first is None or last is None or not field.least <= first <= last <= field.most:
            raise ValueError(wanted)


def _number(field: Field, text: str) -> int | None:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.least
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else None


PERIODS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""The meaning of cron's words; @reboot has no period."""


def longest_pause(schedule: str) -> timedelta | None:
    """Return the longest time between two starts of a checked schedule; None if it has no period.

    It looks at four years, which contain every date, and each on nearly every day of the week.
    """
    fields = PERIODS.get(schedule, schedule).split()
    if len(fields) != len(FIELDS):
        return None
    minutes, hours, days, months, weekdays = map(_values, FIELDS, fields)
    # As cron does: if both kinds of days are restricted, either is enough (crontab(5)).
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    moments = sorted(60 * hour + minute for hour in hours for minute in minutes)
    pauses = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
    last: int | None = None
    first_day = date(2024, 1, 1)
    for number in range(4 * 365 + 1):
        day = first_day + timedelta(days=number)
        of_month, of_week = (
            day.day in days,
            day.isoweekday() % 7 in weekdays or (day.isoweekday() == 7 and 7 in weekdays),
        )
        if day.month in months and (of_month or of_week if either else of_month and of_week):
            if last is not None:
                pauses.append((number - last) * 24 * 60 + moments[0] - moments[-1])
            last = number
    return timedelta(minutes=max(pauses)) if pauses else None


def _values(field: Field, text: str) -> set[int]:
    """Return the numbers that a field stands for."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        assert match is not None, part
        first = field.least if match["first"] is None else _number(field, match["first"])
        last = field.most if match["first"] is None else _number(field, match["last"]) if match["last"] else first
        assert first is not None
        assert last is not None
        found.update(range(first, last + 1, int(match["step"] or 1)))
    return found
