"""Encode reports for python-oops' date directory: one BSON document each, by oops-datedir-repo (LP-25)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from jobcron.errors import ConfigurationError
from jobcron.settings.secrets import storable


class Bson(Protocol):
    """A module that writes and reads BSON."""

    def dumps(self, document: object, /) -> bytes: ...

    def loads(self, content: bytes, /) -> dict[str, object]: ...


def bson_library() -> Bson:
    """Return oops-datedir-repo's BSON module; it supports both packages of that name.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from oops_datedir_repo import anybson
    except ImportError as error:
        raise ConfigurationError(
            f"expected oops-datedir-repo for datedir: install jobcron[oops-bson]; got: {error}"
        ) from error
    library: Bson = anybson
    return library


def encode(report: dict[str, object]) -> bytes:
    """Return a report as the content of its file."""
    return bson_library().dumps(_plain(report))


def decode(content: bytes) -> dict[str, object]:
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


def _plain(value: object) -> object:
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
