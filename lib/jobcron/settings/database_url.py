"""What the text of a database's URL says; a tick reads no more. `sqlalchemy_url` takes it apart."""

from __future__ import annotations

import re

SQLITE, POSTGRESQL = "sqlite", "postgresql"

PLAIN_SCHEMES = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}
"""Written out, since SQLAlchemy 2.1 takes them for another driver: an application may hand the URL on to it."""

BACKENDS = {
    "sqlite": SQLITE,
    "sqlite+pysqlite": SQLITE,
    **dict.fromkeys([*PLAIN_SCHEMES, *PLAIN_SCHEMES.values()], POSTGRESQL),
}
"""The database that each scheme names."""

_PASSWORDS = (
    r"^[^/]*://[^:/@\[]*:([^@]*)@",  # as SQLAlchemy reads it
    r"^[^/]*://[^:/@\[]*:(.*)@",  # with an @ in it that should have been %40
    r"^[^/]*://[^:/@\[]*:(?!\d*(?:[/?]|$))([^@]*)$",  # without a host: what is no port
    r"[?&](?:ssl)?password=([^&#]*)",
)


def backend_of(url: str) -> str:
    """Return ``sqlite`` or ``postgresql``; nothing for the URL of another database, or what is no URL."""
    scheme, colon, _ = url.partition(":")
    return BACKENDS.get(scheme, "") if colon else ""


def with_driver(url: str) -> str:
    """Return a URL that names its driver."""
    scheme, colon, rest = url.partition(":")
    return f"{PLAIN_SCHEMES.get(scheme, scheme)}{colon}{rest}"


def sqlite_path(url: str) -> str | None:
    """Return the path of SQLite's file; None if the URL has more to say than a path."""
    scheme, _, path = url.partition(":///")
    return path if scheme == SQLITE and path and "?" not in path else None


def libpq_url(url: str) -> str:
    """Return the URL of a PostgreSQL database as libpq and psycopg2 take it."""
    return f"{POSTGRESQL}:{url.partition(':')[2]}"


def passwords_in(url: str) -> list[str]:
    """Return what may be the password in a URL, as it is written there; also in one that cannot be read."""
    return [password for form in _PASSWORDS for password in re.findall(form, url) if password]
