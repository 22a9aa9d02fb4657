"""Read what a tick needs from the text of a database URL; `sqlalchemy_url` parses it fully."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

SQLITE, POSTGRESQL = "sqlite", "postgresql"

PSYCOPG2, PSYCOPG = "psycopg2", "psycopg"
"""The drivers of PostgreSQL; the second one is psycopg 3."""

PLAIN_SCHEMES = dict.fromkeys(("postgres", "postgresql"), f"postgresql+{PSYCOPG2}")
"""Spelled out, since SQLAlchemy 2.1 gives them another driver: an application may pass the URL on to it."""

BACKENDS = {
    "sqlite": SQLITE,
    "sqlite+pysqlite": SQLITE,
    **dict.fromkeys([*PLAIN_SCHEMES, *PLAIN_SCHEMES.values(), f"postgresql+{PSYCOPG}"], POSTGRESQL),
}
"""The database that each scheme stands for."""

BROKER_EXPECTED = "a broker's URL such as amqp://user@host/vhost or redis://host/0"
"""What `is_broker` asks for."""

_OBJECT = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")

_SEVERAL_HOSTS = re.compile(
    r"(?P<scheme>[^:/]+)://(?P<user>[^@/?#]*@)?(?P<hosts>[^@/?#]*,[^@/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>.*))?",
    re.S,
)
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>\d*))?")

# Nothing in these is written in another way than it is meant, or can be read in two ways.
_PLAIN_SQLITE = re.compile(r"(?P<scheme>sqlite(?:\+pysqlite)?):///(?P<path>[A-Za-z0-9_./-]+)")
_PLAIN_POSTGRESQL = re.compile(
    r"(?P<scheme>postgres|postgresql(?:\+psycopg2?)?)"
    r"(?P<rest>://(?:[A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+)?@)?[A-Za-z0-9.-]*(?::[1-9][0-9]{0,4})?/[A-Za-z0-9_.-]+)"
)

_PASSWORDS = (
    r"^[^/]*://[^:/@\[]*:([^@]*)@",  # as SQLAlchemy reads it
    r"^[^/]*://[^:/@\[]*:(.*)@",  # with an @ in it that should have been %40
    r"^[^/]*://[^:/@\[]*:(?!\d*(?:[/?]|$))([^@]*)$",  # without a host: whatever is not a port
    r"[?&][^=&#]*password=([^&#]*)",  # sslpassword and ssl_keyfile_password as well
)


def backend_of(url: str) -> str:
    """Return ``sqlite`` or ``postgresql``; empty for another database, or for text that is not a URL."""
    scheme, colon, _ = url.partition(":")
    return BACKENDS.get(scheme, "") if colon else ""


def driver_of(url: str) -> str:
    """Return the name of the driver for a URL of PostgreSQL: psycopg2, unless it asks for psycopg."""
    return PSYCOPG if url.partition(":")[0] == f"postgresql+{PSYCOPG}" else PSYCOPG2


def names_object(text: str) -> bool:
    """Return whether a ``database_url`` is ``module:name``, which has the application's own URL."""
    found = _OBJECT.fullmatch(text)
    return found is not None and found["module"] not in BACKENDS


def with_driver(url: str) -> str:
    """Return the URL with the name of its driver, and several hosts as `with_hosts_as_parameters` has them."""
    scheme, colon, rest = with_hosts_as_parameters(url).partition(":")
    return f"{PLAIN_SCHEMES.get(scheme, scheme)}{colon}{rest}"


def as_plain(url: str, absolute: Callable[[str], str]) -> str | None:
    """Return a URL with its driver and an absolute path, as SQLAlchemy would write it; None: only that can tell.

    Most URLs are so plain that nothing has to be parsed, which saves commands that need no database its import.

    Args:
        url: the URL.
        absolute: returns the absolute path of SQLite's file.
    """
    if found := _PLAIN_POSTGRESQL.fullmatch(url):
        return PLAIN_SCHEMES.get(found["scheme"], found["scheme"]) + found["rest"]
    if found := _PLAIN_SQLITE.fullmatch(url):
        return f"{found['scheme']}:///{absolute(found['path'])}"
    return None


def with_hosts_as_parameters(url: str) -> str:
    """Return a URL of PostgreSQL with several hosts in the form that both libpq and SQLAlchemy read.

    libpq's ``postgresql://h1:5432,h2:5433/db`` becomes ``postgresql:///db?host=h1,h2&port=5432,5433``. Any other
    URL is returned as it is.
    """
    several = _SEVERAL_HOSTS.fullmatch(url) if backend_of(url) == POSTGRESQL else None
    if several is None:
        return url
    found = [_HOST.fullmatch(part) for part in several["hosts"].split(",")]
    hosts = [each["host"].strip("[]") for each in found if each is not None]
    ports = [each["port"] or "" for each in found if each is not None]
    if len(hosts) < len(found):
        return url  # who reads it will refuse it
    parameters = [f"host={','.join(hosts)}"]
    if any(ports):
        parameters.append(f"port={','.join(ports)}")
    if several["query"]:
        parameters.append(several["query"])
    return f"{several['scheme']}://{several['user'] or ''}{several['path'] or '/'}?{'&'.join(parameters)}"


def sqlite_path(url: str) -> str | None:
    """Return the path of SQLite's file; None if the URL contains more than a path."""
    scheme, _, path = url.partition(":///")
    return path if scheme == SQLITE and path and "?" not in path else None


def trouble_of_file(url: str) -> str:
    """Return the end of a message that says what keeps SQLite from its file, a folder or a right; or empty."""
    path = sqlite_path(url) or ""
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        return f": its folder {folder} is not there; `jobcron upgrade` makes it"
    closed = closed_files(path) if path else ""
    return closed and f": {closed}"


def closed_files(path: str) -> str:
    """Return in words which files of an SQLite database this process may not write; empty: all that are there.

    SQLite writes the log and the shared memory beside the file as well, and makes them in its folder.
    """
    path = os.path.abspath(path)
    needed = (path, f"{path}-wal", f"{path}-shm", os.path.dirname(path))
    closed = [each for each in needed if os.path.exists(each) and not os.access(each, os.R_OK | os.W_OK)]
    return f"this user may not read and write {', '.join(closed)}" if closed else ""


def libpq_url(url: str) -> str:
    """Return the URL of a PostgreSQL database in the form that libpq and the drivers accept."""
    return f"{POSTGRESQL}:{url.partition(':')[2]}"


def is_broker(text: str) -> bool:
    """Return whether a text is the URL of a message broker, or several: ``a;b``."""
    from urllib.parse import urlsplit

    try:
        for one in text.split(";"):  # several: the next one is asked if one does not answer
            url = urlsplit(one)
            if not url.scheme or not one.isprintable() or (url.port is not None and url.port < 1):
                return False
    except ValueError:  # a port that is no number
        return False
    return True


def passwords_in(url: str) -> list[str]:
    """Return the possible passwords in a URL, as written there; also for a URL that cannot be parsed.

    The text may have several URLs, as ``celery_broker_url`` has them: ``a;b``.
    """
    texts = dict.fromkeys([url, *url.split(";")])  # the whole as well: a password may have a ; in it
    return [password for text in texts for form in _PASSWORDS for password in re.findall(form, text) if password]
