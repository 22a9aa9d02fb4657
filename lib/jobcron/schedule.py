"""When cron is to run something: the five fields of a crontab's line, or one of its words (crontab(5))."""

from __future__ import annotations

import re
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
    """Return a schedule with single blanks between its fields.

    Raises:
        ValueError: cron would not take it; the message says which field is wrong.
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
