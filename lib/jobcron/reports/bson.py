"""Reports as python-oops' date directory has them: one BSON document each, by oops-datedir-repo (LP-25)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobcron.errors import ConfigurationError
from jobcron.settings.secrets import storable


def bson_library() -> Any:
    """Return oops-datedir-repo's module for BSON; it copes with either package of that name.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from oops_datedir_repo import anybson
    except ImportError as error:
        raise ConfigurationError("expected oops-datedir-repo for datedir: install jobcron[oops-bson]") from error
    return anybson


def encode(report: dict[str, Any]) -> bytes:
    """Return a report as its file."""
    encoded: bytes = bson_library().dumps(_plain(report))
    return encoded


def decode(content: bytes) -> dict[str, Any]:
    """Return the report that a file holds, its times as texts.

    Raises:
        ConfigurationError: what reads it is not installed.
        ValueError: it is none.
    """
    bson = bson_library()
    try:
        found = bson.loads(content)
    except Exception as error:  # whatever a parser meets in bytes that are something else
        raise ValueError(f"expected BSON: {error}") from error
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}


def _plain(value: Any) -> Any:
    """Return a value as BSON can hold it: integers have 64 bits, texts no NUL and no lone surrogates."""
    match value:
        case None | bool() | float() | datetime():
            return value
        case int() if -(2**63) <= value < 2**63:
            return value
        case dict():
            return {storable(str(name)): _plain(content) for name, content in value.items()}
        case list() | tuple():
            return [_plain(content) for content in value]
        case _:
            return storable(str(value))
