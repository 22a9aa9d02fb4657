"""Parse database URLs with SQLAlchemy, and describe them without their passwords."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from jobcron.errors import ConfigurationError
from jobcron.settings.database_url import BACKENDS, PLAIN_SCHEMES, POSTGRESQL, with_hosts_as_parameters
from jobcron.settings.secrets import is_secret

SQLITE_OPTIONS = frozenset(
    {"cached_statements", "check_same_thread", "detect_types", "isolation_level", "timeout", "uri"}
)


def parse_url(url: str, user: str | None = None) -> URL:
    """Return the parsed URL of a database, with our driver and, if given, another user.

    The URL's password belongs to the URL's user, so it is dropped for another user, wherever the URL has the
    two. A role's password comes from libpq (``.pgpass``, a service file, peer authentication).

    Raises:
        ConfigurationError: it is not a URL, or the database is not supported.
    """
    try:
        parsed = make_url(with_hosts_as_parameters(url))
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "expected database_url to be a URL such as sqlite:////var/lib/app/app.db or "
            "postgresql://user@host/database, got something that cannot be read as one"
        ) from None  # the cause may quote the password
    parsed = parsed.set(drivername=PLAIN_SCHEMES.get(parsed.drivername, parsed.drivername))
    if parsed.drivername not in BACKENDS:
        raise ConfigurationError(
            f"expected database_url to name sqlite or postgresql (psycopg2 or psycopg), got {parsed.drivername!r}"
        )
    if "@" in (parsed.host or ""):  # the end of the password would be shown as part of the host
        raise ConfigurationError("expected database_url to have one @, before the host; in a password it is %40")
    if BACKENDS[parsed.drivername] != POSTGRESQL:
        _check_sqlite_options(parsed)
    if user and BACKENDS[parsed.drivername] == POSTGRESQL:
        query = {key: value for key, value in parsed.query.items() if key not in ("user", "password")}
        parsed = URL.create(parsed.drivername, user, None, parsed.host, parsed.port, parsed.database, query)
    return parsed


def _check_sqlite_options(url: URL) -> None:
    """Check the options of SQLite's driver that a URL has.

    Raises:
        ConfigurationError: one is unknown, given twice, or has a value that it cannot have; or there is a host.
    """
    if url.host or url.username or url.port:
        raise ConfigurationError(
            "expected database_url to have three slashes before a relative path and four before an absolute one, "
            f"such as sqlite:////var/lib/app/app.db, got one with the host {url.host!r}"
        )
    unknown = sorted(url.query.keys() - SQLITE_OPTIONS)
    if unknown and "uri" not in url.query:  # with it, the rest is SQLite's own
        raise ConfigurationError(
            f"expected database_url to have options of SQLite's driver, {', '.join(sorted(SQLITE_OPTIONS))}, "
            f"got {', '.join(unknown)}"
        )
    for name in sorted(url.query.keys() & SQLITE_OPTIONS):
        try:
            url.get_dialect()().create_connect_args(url.set(query={name: url.query[name]}))
        except (TypeError, ValueError) as error:
            text = f"expected a value that the option {name} of database_url can have, got: {error}"
            raise ConfigurationError(text) from None


def url_text(url: object) -> str | None:
    """Return SQLAlchemy's form of a URL as a text, with its password; None for any other object."""
    return url.render_as_string(hide_password=False) if isinstance(url, URL) else None


def has_password(url: URL) -> bool:
    """Return whether a database URL has a password in any part."""
    return bool(url.password) or any(map(is_secret, url.query))


def describe_url(url: URL) -> str:
    """Return a database URL without its passwords."""
    shown = url.difference_update_query([key for key in url.query if is_secret(key)])
    return shown.render_as_string(hide_password=True)
