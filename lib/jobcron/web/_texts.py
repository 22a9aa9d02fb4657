"""Texts of pages: escaped, without secrets, and with invisible characters shown, wherever they are from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from jobcron.interfaces import JobStatus
from jobcron.operations.reasons import span
from jobcron.queue.health import Health
from jobcron.reports.logs import visible
from jobcron.settings.secrets import Redactor, storable

LONGEST = 20_000
"""The longest text that is shown whole, in characters: its beginning and its end are."""

_environments: WeakKeyDictionary[Redactor, Environment] = WeakKeyDictionary()


def environment(redactor: Redactor) -> Environment:
    """Return the templates for an instance.

    Not the host's: it may have other filters, another way to escape, or templates of the same names. Every value
    that a template shows passes `redactor`: none can be forgotten.
    """
    found = _environments.get(redactor)
    if found is None:
        found = _environments[redactor] = _environment(redactor)
    return found


def _environment(redactor: Redactor) -> Environment:
    made = Environment(
        loader=PackageLoader("jobcron.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalizer(redactor),
    )
    made.filters.update({one.__name__: one for one in (when, ago, lasting, number, seconds, short, given, plural)})
    made.filters.update(pairs=_pairs(redactor), linked=_linked(redactor), web_address=web_address)
    made.globals.update(JobStatus=JobStatus, Health=Health, now=lambda: datetime.now(UTC))
    return made


def _finalizer(redactor: Redactor) -> Callable[[object], object]:
    def finalize(value: object) -> object:
        match value:
            case Markup() | bool() | int() | float():
                return value
            case None:
                return "–"
            case StrEnum():
                value = value.value
            case Enum():
                value = value.name
        return cut(visible(redactor.text(storable(str(value)))))

    return finalize


def _linked(redactor: Redactor) -> Callable[..., Markup]:
    finalize = _finalizer(redactor)

    def linked(text: str, address: Markup, length: int = LONGEST) -> Markup:
        """Return a text of a row as a link; only as a text if its address would have the secret that is hidden."""
        line = text if length == LONGEST else short(text, length)
        shown = Markup.escape(finalize(line))
        if redactor.text(text) != text:
            return shown
        return Markup('<a href="{}">{}</a>').format(address, shown)

    return linked


def cut(text: str) -> str:
    """Return a text, without its middle if it is longer than any page shows."""
    left_out = len(text) - LONGEST
    if left_out <= 0:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n[… {left_out:,} characters are left out …]\n{text[-half:]}"


def given(text: object) -> Markup:
    """Return what a visitor has written, for the field in which it was written: nobody else sees it."""
    return Markup.escape("" if text is None else text)


def when(moment: datetime | None) -> Markup:
    """Return a time in UTC; the script of the pages shows it in the viewer's zone."""
    if moment is None:
        return Markup("–")
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M:%S}", f"{utc:%Y-%m-%d %H:%M:%S}"
    )


def ago(moment: datetime | None) -> Markup:
    """Return how long ago a time was, or how long it will take, in words; the time itself behind it."""
    if moment is None:
        return Markup("–")
    utc = moment.astimezone(UTC)
    left = utc - datetime.now(UTC)
    words = f"in {span(left)}" if left > timedelta(seconds=1) else f"{span(-left)} ago"
    return Markup('<time class="relative" datetime="{}" title="{} UTC">{}</time>').format(
        f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M:%S}", words
    )


def lasting(length: timedelta | None) -> str:
    """Return a length of time in words."""
    return "–" if length is None else span(length)


def seconds(length: float | None) -> str:
    """Return a number of seconds, with as many digits as say something."""
    if length is None:
        return "–"
    if length < 10:
        return f"{length:.2f} s"
    return span(timedelta(seconds=length))


def number(value: float) -> str:
    """Return a number with separators."""
    return f"{value:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def short(text: object, length: int = 160) -> str:
    """Return a text in one line, cut at its end."""
    line = " ".join(str(text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def web_address(text: str | None) -> str | None:
    """Return a text if it is an address that a browser may safely be led to; else None."""
    if text is None or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in ("http", "https") and parts.netloc else None


def _pairs(redactor: Redactor) -> Callable[[Iterable[tuple[object, object]]], list[tuple[str, str]]]:
    def pairs(values: Iterable[tuple[object, object]]) -> list[tuple[str, str]]:
        """Return names with values as JSON; a value whose name says that it is a secret is hidden."""
        return [(redactor.name(name), _as_json(redactor.named(name, value))) for name, value in values]

    return pairs


def _as_json(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) and value else None)
