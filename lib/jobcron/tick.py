"""May there be anything to do? One statement over a bare driver connection.

This is what a cron script pays when nothing is ready, which is nearly always: no ORM, no zope, no application.
Whatever is unusual, a missing table or a database that does not answer included, is a "yes": the full path meets
it again and says what is wrong.
"""

from __future__ import annotations

import os
import re

from jobcron.sql import statement

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_PARAMETER = re.compile(r"(?<!:):(\w+)")


def may_have_work(url: str, user: str | None, source: str, run_name: str, interval: float) -> bool:
    """Tell whether the full path has to be taken.

    Args:
        url: the database's.
        user: the section's role, or None.
        source: the source's dotted name.
        run_name: the name of the script's run rows.
        interval: the ``activity_interval``, in seconds.
    """
    parameters = {
        "source": source,
        "run_name": run_name,
        "minus_activity_interval": -interval,
    }
    if url.startswith("sqlite:///") and "?" not in url:
        row = _ask_sqlite(url.removeprefix("sqlite:///"), parameters)
    elif url.startswith(("postgres:", "postgresql:", "postgresql+psycopg2:")):
        row = _ask_postgresql(url, user, parameters)
    else:
        return True
    if row is None:
        return True
    known, due, ready = row
    return bool(not known or due or ready)


def _ask_sqlite(path: str, parameters: dict[str, Any]) -> Any:
    import sqlite3

    if not os.path.exists(path):
        return None  # connecting would make it
    try:
        connection = sqlite3.connect(path, timeout=5)
        try:
            return connection.execute(statement("tick", "sqlite"), parameters).fetchone()
        finally:
            connection.close()
    except sqlite3.Error:
        return None


def _ask_postgresql(url: str, user: str | None, parameters: dict[str, Any]) -> Any:
    import psycopg2
    from psycopg2.extensions import parse_dsn

    try:
        arguments = parse_dsn("postgresql:" + url.partition(":")[2])
        if user:
            arguments["user"] = user
            arguments.pop("password", None)  # it is the URL's user's
        connection = psycopg2.connect(**{"connect_timeout": 10, **arguments})
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_PARAMETER.sub(r"%(\1)s", statement("tick", "postgresql")), parameters)
                return cursor.fetchone()
        finally:
            connection.close()
    except psycopg2.Error:
        return None
