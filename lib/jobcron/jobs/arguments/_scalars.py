"""Write the scalar types that JSON lacks as JSON, and read them again."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments.json_data import JSONValue, shown


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _write_datetime(value: datetime, what: str) -> JSONValue:
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key:
        return [value.replace(tzinfo=None, fold=0).isoformat(), zone.key, value.fold]
    offset = value.utcoffset()
    plain = value.replace(tzinfo=None if zone is None or offset is None else timezone(offset))
    if plain != value or (zone is None) is not (plain.tzinfo is None):
        raise InvalidJobData(
            f"expected {what} to have a zone of zoneinfo or datetime.timezone, got {shown(value)}"
        )
    text = plain.replace(fold=0).isoformat()
    return [text, None, 1] if value.fold else text


def _read_datetime(content: Any) -> datetime:
    if isinstance(content, str):
        return datetime.fromisoformat(content)
    text, key, fold = content
    found = datetime.fromisoformat(text).replace(fold=fold)
    return found if key is None else found.replace(tzinfo=ZoneInfo(key))


SCALARS: tuple[tuple[type[object], str, Callable[[Any, str], JSONValue], Callable[[Any], object]], ...] = (
    (datetime, "$datetime", _write_datetime, _read_datetime),
    (date, "$date", lambda value, what: value.isoformat(), date.fromisoformat),
    (Decimal, "$Decimal", lambda value, what: str(value), Decimal),
    (UUID, "$UUID", lambda value, what: str(value), UUID),
    (bytes, "$bytes", lambda value, what: base64.b64encode(value).decode(), _unbase64),
)
"""For each type: its mark, and the functions that write and read a value; a value's name is for messages."""

READERS = {mark: read for _, mark, _, read in SCALARS}
