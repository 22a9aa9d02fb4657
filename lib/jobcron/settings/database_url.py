"""Read the text of a database URL; a tick needs no more. `sqlalchemy_url` parses it."""

from __future__ import annotations

import re

SQLITE, POSTGRESQL = "sqlite", "postgresql"

PLAIN_SCHEMES = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}
"""Spelled out, since SQLAlchemy 2.1 gives them another driver: an application may pass the URL on to it."""

BACKENDS = {
    "sqlite": SQLITE,
    "sqlite+pysqlite": SQLITE,
    **dict.fromkeys([*PLAIN_SCHEMES, *PLAIN_SCHEMES.values()], POSTGRESQL),
}
"""The database that each scheme stands for."""

_PASSWORDS = (
    r"^[^/]*://[^:/@\[]*:([^@]*)@",  # as SQLAlchemy reads it
    r"^[^/]*://[^:/@\[]*:(.*)@",  # with an @ in it that should have been %40
    r"^[^/]*://[^:/@\[]*:(?!\d*(?:[/?]|$))([^@]*)$",  # without a host: whatever is not a port
    r"[?&](?:ssl)?password=([^&#]*)",
)


def backend_of(url: str) -> str:
    """Return ``sqlite`` or ``postgresql``; empty for another database, or for text that is not a URL."""
    scheme, colon, _ = url.partition(":")
    return BACKENDS.get(scheme, "") if colon else ""


def with_driver(url: str) -> str:
    """Return the URL with the name of its driver."""
    scheme, colon, rest = url.partition(":")
    return f"{PLAIN_SCHEMES.get(scheme, scheme)}{colon}{rest}"


def sqlite_path(url: str) -> str | None:
    """Return the path of SQLite's file; None if the URL contains more than a path."""
    scheme, _, path = url.partition(":///")
    return path if scheme == SQLITE and path and "?" not in path else None


def libpq_url(url: str) -> str:
    """Return the URL of a PostgreSQL database in the form that libpq and psycopg2 accept."""
    return f"{POSTGRESQL}:{url.partition(':')[2]}"


def passwords_in(url: str) -> list[str]:
    """Return the possible passwords in a URL, as written there; also for a URL that cannot be parsed."""
    return [password for form in _PASSWORDS for password in re.findall(form, url) if password]
