"""Convert the texts of the keys of schedules, channels and locks into values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from zoneinfo import available_timezones

from lazr.config import as_timedelta

from jobcron.errors import ConfigurationError
from jobcron.settings._place import Place
from jobcron.settings.settings import CHANNEL_NAME, CHANNEL_RULE, CLUSTER

# why: decisions 2026-11-29, bounds of times and texts
MAX_SECONDS = 36500 * 86400
"""The longest time, a hundred years: databases can subtract it from now, and processes can wait that long."""

LOCK_LEASES = (6.0, 3600.0)
"""The shortest and the longest lease of a lock, in seconds."""

MISSED = ("once", "skip", "all")
OVERLAP = ("skip", "wait", "allow")


def _time_zone(text: str, place: Place) -> str:
    zones = available_timezones()
    if text not in zones:
        raise place.refuse(
            "the name of a time zone that this machine knows, such as Europe/Berlin or UTC", text, zones
        )
    return text


def _json_object(text: str, place: Place) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise place.refuse('a JSON object such as {"copies": 2}', text) from error
    if not isinstance(found, dict):
        raise place.refuse('a JSON object such as {"copies": 2}', text)
    return json.dumps(found)


def _job(text: str, place: Place) -> str:
    if not re.fullmatch(r"[^\s\0<>]{1,200}", text) or not text.isprintable():
        raise place.refuse("a job type, or the dotted name of a class or a function", repr(text))
    return text


def _one_of(*words: str) -> Callable[[str, Place], str]:
    def convert(text: str, place: Place) -> str:
        if text not in words:
            raise place.refuse(f"one of {', '.join(words)}", text, words)
        return text

    return convert


def _channel(text: str, place: Place) -> str:
    if not CHANNEL_NAME.fullmatch(text):
        raise place.refuse(f"the name of a channel such as root.export ({CHANNEL_RULE})", text, [f"root.{text}"])
    return text


def _capacity(text: str, place: Place) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise place.refuse("a whole number; 0 lets no job start", text)
    return int(text)


def _throttle(text: str, place: Place) -> list[float]:
    try:
        return throttle_from(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error}") from error


def _lock_lease(text: str, place: Place) -> float:
    seconds = -1.0
    with suppress(ValueError, OverflowError):
        seconds = float(as_timedelta(text).total_seconds())
    if not LOCK_LEASES[0] <= seconds <= LOCK_LEASES[1]:
        raise place.refuse("a time of 3s to 1h, such as 1m", text)
    return seconds


def throttle_from(text: str) -> list[float]:
    """Return a number of starts and a period in seconds, which are written as ``10/1m``.

    Raises:
        ConfigurationError: the text is not of that form.
    """
    count, _, period = text.partition("/")
    seconds = 0.0
    with suppress(ValueError, OverflowError):
        seconds = float(as_timedelta(period.strip()).total_seconds())
    if not re.fullmatch(r"[1-9][0-9]{0,5}", count.strip()) or not 0 < seconds <= MAX_SECONDS:
        raise ConfigurationError(f"expected a number of starts and a period, such as 10/1m, got: {text}")
    return [int(count), seconds]


OF_SCHEDULES: dict[str, Callable[[str, Place], object]] = {
    "time_zone": _time_zone,
    "json_object": _json_object,
    "job": _job,
    "missed": _one_of(*MISSED),
    "overlap": _one_of(*OVERLAP),
}

OF_CHANNELS: dict[str, Callable[[str, Place], object]] = {
    "channel": _channel,
    "capacity": _capacity,
    "throttle": _throttle,
    "sequential": _one_of("channel", "target"),
}

OF_LOCKS: dict[str, Callable[[str, Place], object]] = {
    "lock": _one_of("host", CLUSTER),
    "lock_lease": _lock_lease,
}
