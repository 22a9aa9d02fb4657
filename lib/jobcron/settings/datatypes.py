"""Convert the texts of a configuration's keys into values, and refuse those that are not valid."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from lazr.config import as_boolean, as_timedelta

from jobcron.errors import ConfigurationError
from jobcron.settings._place import Place as Place
from jobcron.settings._schedule_types import MAX_SECONDS, OF_CHANNELS, OF_LOCKS, OF_SCHEDULES
from jobcron.settings._schedule_types import MISSED as MISSED
from jobcron.settings._schedule_types import OVERLAP as OVERLAP
from jobcron.settings._schedule_types import throttle_from as throttle_from
from jobcron.settings.cron import check_expression, check_schedule
from jobcron.settings.database_url import BROKER_EXPECTED, as_plain, is_broker, names_object
from jobcron.settings.secrets import Redactor
from jobcron.settings.settings import LEVELS, SECTION_NAME

_ADDRESS = re.compile(r"[^\s@,;<>\"]+(@[^\s@,;<>\"]+)?")
"""An address, or the name of a user of this machine."""

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def _string(text: str, place: Place) -> str:
    if not text.isprintable():  # a role, an address: neither libpq nor a mail header accepts them
        raise place.refuse("a text in one line, without control characters", repr(text))
    return text


def _name(text: str, place: Place) -> str:
    if not SECTION_NAME.fullmatch(text):
        raise place.refuse("a letter, then letters, digits, _ and -, 64 at most", text)
    return text


def _dotted_name(text: str, place: Place) -> str:
    if not _DOTTED.fullmatch(text):
        raise place.refuse("a dotted name such as package.module.Name", text)
    return text


def _dotted_names(text: str, place: Place) -> list[str]:
    return [_dotted_name(name, place) for name in text.split()]


def _is_module_and_name(text: str) -> bool:
    module, _, name = text.partition(":")
    return bool(_DOTTED.fullmatch(module) and (not name or _DOTTED.fullmatch(name)))


def _dotted_name_and_callable(text: str, place: Place) -> str:
    if not _is_module_and_name(text):
        raise place.refuse("a module, or module:callable", text)
    return text


def _callable(text: str, place: Place) -> str:
    if ":" not in text or not _is_module_and_name(text):
        raise place.refuse("module:callable", text)
    return text


def _directory(text: str, place: Place) -> str:
    if "\0" in text:
        raise place.refuse("a directory", repr(text))
    if not os.path.isabs(text):
        text = os.path.join(os.path.dirname(place.path), text)
    return os.path.normpath(text)


def _directories(text: str, place: Place) -> list[str]:
    return [_directory(path, place) for path in text.split()]


def _url(text: str, place: Place) -> str:
    if names_object(text):
        return text  # `load_settings` asks the application
    if plain := as_plain(text, lambda path: _directory(path, place)):
        return plain
    from jobcron.settings.sqlalchemy_url import parse_url

    try:
        parsed = parse_url(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error}") from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise place.refuse("a database in a file", text)
        parsed = parsed.set(database=_directory(str(parsed.database), place))
    return parsed.render_as_string(hide_password=False)


def _mail(text: str, place: Place) -> str:
    scheme, _, rest = text.partition(":")
    if scheme == "file" and rest:
        return f"file:{_directory(rest, place)}"
    with suppress(ValueError):  # a port that is no number
        url = urlsplit(text)
        if scheme == "smtp" and url.hostname and (url.port is None or url.port > 0):
            return text
    raise place.refuse("none, file:DIRECTORY or smtp://host:port", Redactor().text(text))


def _broker(text: str, place: Place) -> str:
    if not is_broker(text):
        raise place.refuse(BROKER_EXPECTED, Redactor().text(text))
    return text


def _dispatcher(text: str, place: Place) -> str:
    if text != "celery" and (":" not in text or not _is_module_and_name(text)):
        raise place.refuse("celery, or module:callable", text, ["celery"])
    return text


def _file_or_url(text: str, place: Place) -> str:
    scheme, _, rest = text.partition(":")
    if scheme in ("http", "https"):
        with suppress(ValueError):  # a port that is no number
            url = urlsplit(text)
            if url.hostname and url.username is None and (url.port is None or url.port > 0):
                return text
        expected = f"a {scheme}: URL with a host, without a password"
        raise place.refuse(expected, Redactor().text(text))
    path = re.sub("^//(localhost)?(?=/)", "", rest) if scheme == "file" else text
    if path.startswith("//") or "://" in path or not path or "\0" in path:
        raise place.refuse("a path, or a file:, http: or https: URL", repr(text))
    return _directory(path, place)


def _ping_url(text: str, place: Place) -> str:
    with suppress(ValueError):  # a port that is no number
        url = urlsplit(text)
        fits = url.scheme in ("http", "https") and url.hostname and url.username is None and text.isprintable()
        if fits and (url.port is None or url.port > 0) and " " not in text and text.isascii():
            return text
    raise place.refuse("an http: or https: URL with a host, without a password", Redactor().text(text))


def _duration(text: str, place: Place) -> float:
    try:
        seconds = float(as_timedelta(text).total_seconds())
    except (ValueError, OverflowError) as error:
        raise place.refuse("a time such as 30s, 10m, 1h30m or 2d", text) from error
    if seconds > MAX_SECONDS:
        raise place.refuse(f"a time of at most {MAX_SECONDS // 86400}d", text)
    return seconds


def _interval(text: str, place: Place) -> float:
    if not (seconds := _duration(text, place)):
        raise place.refuse("a time longer than 0", text)
    return seconds


def _count(text: str, place: Place) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise place.refuse("a whole number, at least 1", text)
    return int(text)


def _transactions(text: str, place: Place) -> str:
    if text not in ("sqlalchemy", "zope"):
        raise place.refuse("sqlalchemy or zope", text, ["sqlalchemy", "zope"])
    return text


def _cron_schedule(text: str, place: Place) -> str:
    try:
        return check_schedule(text)
    except ValueError as error:
        raise place.refuse(str(error), text) from error


def _cron_expression(text: str, place: Place) -> str:
    try:
        return check_expression(text)
    except ValueError as error:
        raise place.refuse(str(error), text) from error


def _every(text: str, place: Place) -> int:
    seconds = _duration(text, place)
    if seconds < 60 or seconds != int(seconds):
        raise place.refuse("a time of whole seconds, at least 1m, such as 15m, 1h30m or 2d", text)
    return int(seconds)


def _two_durations(text: str, place: Place) -> list[float]:
    parts = text.split()
    if len(parts) != 2 or (found := [_duration(part, place) for part in parts])[0] > found[1]:
        raise place.refuse(
            "two times, the first for a warning, the second, not shorter, for what is critical, such as 30m 2h",
            text,
        )
    return found


def _two_counts(text: str, place: Place) -> list[int]:
    parts = text.split()
    if len(parts) != 2 or (found := [_count(part, place) for part in parts])[0] > found[1]:
        raise place.refuse(
            "two numbers, the first for a warning, the second, not less, for what is critical, such as 10 100",
            text,
        )
    return found


def _names_and_durations(text: str, place: Place) -> dict[str, float | None]:
    names, times = text.split()[::2], text.split()[1::2]
    if len(names) != len(times) or len(set(names)) < len(names):
        raise place.refuse("names, each once and with a time or none, such as NAME 2d", text)
    durations = [None if time == "none" else _duration(time, place) for time in times]
    return dict(zip(names, durations, strict=True))


def _silence(text: str, place: Place) -> list[float] | str:
    if text == "auto":
        return text
    if not any(letter.isdigit() for letter in text):
        expected = "auto, none, or two times, for a warning and for what is critical, such as 30m 2h"
        raise place.refuse(expected, text, ["auto"])
    return _two_durations(text, place)


def _publishers(text: str, place: Place) -> list[str]:
    for name in text.split():
        if name not in ("files", "datedir") and not (":" in name and _is_module_and_name(name)):
            expected = "names of publishers: files, datedir, or module:callable"
            raise place.refuse(expected, name, ["files", "datedir"])
    if {"files", "datedir"} <= {*text.split()}:
        raise place.refuse("files or datedir, not both: the file of a report has one name", text)
    return text.split()


def _addresses(text: str, place: Place) -> list[str]:
    for address in text.split():
        if not _ADDRESS.fullmatch(address):
            raise place.refuse("addresses, separated by spaces, such as ops@example.com", address)
    return text.split()


def _level(text: str, place: Place) -> str:
    if text.upper() not in LEVELS:
        raise place.refuse(f"one of {', '.join(LEVELS)}, or none", text, LEVELS)
    return text.upper()


def _boolean(text: str, place: Place) -> bool:
    try:
        return bool(as_boolean(text))
    except ValueError:
        raise place.refuse("true or false", text) from None


CONVERTERS: dict[str, Callable[[str, Place], object]] = {
    "string": _string,
    "name": _name,
    "dotted_name": _dotted_name,
    "dotted_names": _dotted_names,
    "dotted_name_and_callable": _dotted_name_and_callable,
    "callable": _callable,
    "directory": _directory,
    "directories": _directories,
    "patterns": _directories,
    "file": _directory,
    "url": _url,
    "mail": _mail,
    "addresses": _addresses,
    "file_or_url": _file_or_url,
    "ping_url": _ping_url,
    "broker": _broker,
    "dispatcher": _dispatcher,
    "duration": _duration,
    "interval": _interval,
    "count": _count,
    "boolean": _boolean,
    "cron_schedule": _cron_schedule,
    "cron_expression": _cron_expression,
    "every": _every,
    **OF_SCHEDULES,
    **OF_CHANNELS,
    **OF_LOCKS,
    "publishers": _publishers,
    "two_durations": _two_durations,
    "two_counts": _two_counts,
    "names_and_durations": _names_and_durations,
    "silence": _silence,
    "level": _level,
    "transactions": _transactions,
}
