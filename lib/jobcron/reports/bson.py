"""Encode reports for python-oops' date directory: one BSON document each, by oops-datedir-repo (LP-25)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobcron.errors import ConfigurationError
from jobcron.settings.secrets import storable


def bson_library() -> Any:
    """Return oops-datedir-repo's BSON module; it supports both packages of that name.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from oops_datedir_repo import anybson
    except ImportError as error:
        raise ConfigurationError("expected oops-datedir-repo for datedir: install jobcron[oops-bson]") from error
    return anybson


def encode(report: dict[str, Any]) -> bytes:
    """Return a report as the content of its file."""
    encoded: bytes = bson_library().dumps(_plain(report))
    return encoded


def decode(content: bytes) -> dict[str, Any]:
    """Return the report in a file, its times as text.

    Raises:
        ConfigurationError: oops-datedir-repo is not installed.
        ValueError: the file is not a report.
    """
    bson = bson_library()
    try:
        found = bson.loads(content)
    except Exception as error:  # a parser may raise anything for bytes that are something else
        raise ValueError(f"expected BSON: {error}") from error
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}


def _plain(value: Any) -> Any:
    """Return a value that BSON can hold: integers of 64 bits, text without NUL and lone surrogates."""
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
