"""Samples of what was ever written of jobs' values, and whether a value that is read is the one that was given."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from encodingapp import Colour, Level, Right, Word
from paths import TESTS

SAMPLES = TESTS / "jobs" / "arguments" / "samples"
"""A file for each version; each row has a value, as Python writes it, and what was written for it."""

NAMES = {
    "Colour": Colour,
    "Decimal": Decimal,
    "Level": Level,
    "Right": Right,
    "UUID": UUID,
    "Word": Word,
    "ZoneInfo": ZoneInfo,
    "date": date,
    "datetime": datetime,
    "timedelta": timedelta,
    "timezone": timezone,
}
"""What the values of samples are written with."""


def samples(pattern: str) -> list[Any]:
    """Return the samples of files."""
    files = {path.stem: json.loads(path.read_text()) for path in sorted(SAMPLES.glob(pattern))}
    return [pytest.param(row, id=f"{name}: {row['value']}") for name, rows in files.items() for row in rows]


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal, of the same types, and in the same order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float | Decimal | datetime):
        return repr(one) == repr(other)
    if isinstance(one, dict):
        return len(one) == len(other) and all(map(same, one.items(), other.items()))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | frozenset):
        return one == other and sorted(map(repr, one)) == sorted(map(repr, other))
    return bool(one == other)
