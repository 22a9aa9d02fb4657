"""Text that the database can hold, whatever a job said: for outcomes and histories.

A database or a connection may have an encoding that cannot hold every character. To lose a character is better
than to lose the outcome of a job, so such characters are written as escapes.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable

from sqlalchemy import Connection

from jobcron.settings.secrets import cut, storable

MAX_STORED = 1_000_000
"""The longest text that is stored, in characters."""

Wording = Callable[[Connection, str], str | None]
"""Returns the form in which a text is stored; None: not at all."""


def held(connection: Connection, text: str) -> str:
    """Return a text with every character that the database's encoding cannot hold as an escape.

    Args:
        connection: to the database.
        text: any text, also one with NULs or lone surrogates.
    """
    text = cut(storable(text), MAX_STORED)
    if not text.isascii() and connection.dialect.name == "postgresql":
        for codec in _codecs_of(connection.connection.driver_connection):
            text = text.encode(codec, "backslashreplace").decode(codec)
    return text


def plain(connection: Connection, text: str) -> str:
    """Return a text in ASCII, which every encoding holds."""
    return cut(storable(text), MAX_STORED).encode("ascii", "backslashreplace").decode()


def nothing(connection: Connection, text: str) -> None:
    """Return None, whatever the text."""


def _codecs_of(driver: object) -> list[str]:
    """Return Python's names of the encodings of a connection and of its database; none for an unknown driver."""
    # Into a SQL_ASCII database only ASCII: not every connection to it can read other bytes.
    if "psycopg2" in sys.modules:
        from psycopg2 import extensions

        if isinstance(driver, extensions.connection):
            names = (driver.encoding, str(driver.get_parameter_status("server_encoding")))
            return [extensions.encodings.get(name, "ascii") for name in names]
    if "psycopg" in sys.modules:
        from psycopg import Connection as Psycopg

        if isinstance(driver, Psycopg):
            settings = (driver.info.parameter_status(f"{end}_encoding") for end in ("client", "server"))
            return [_codec_of(str(name)) for name in settings]
    return []


def _codec_of(name: str) -> str:
    """Return Python's name of one of PostgreSQL's encodings; ``ascii`` for one that Python lacks."""
    spelled = re.sub(r"^WIN(?=\d)", "cp", name).replace("KOI8", "koi8_")
    try:
        return "ascii" if name == "SQL_ASCII" else codecs.lookup(spelled).name
    except LookupError:
        return "ascii"
