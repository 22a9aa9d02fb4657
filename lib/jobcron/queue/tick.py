"""The cheap check for work: one statement for each section, over a plain driver connection.

This is the whole cost of a cron script when nothing is ready, which is nearly always: no ORM, no zope, no
application. Anything unusual, such as a missing table or a database that does not answer, counts as "yes": the
full path meets it again and reports the cause.
"""

from __future__ import annotations

import os
import re

from jobcron.database.connection_options import CONNECT_ARGUMENTS
from jobcron.database.sql import statement
from jobcron.settings.database_url import POSTGRESQL, backend_of, libpq_url, sqlite_path

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

ANSWER_SECONDS = 10
"""Seconds to wait for a lock, such as a migration's; as long as for a connection."""

_PARAMETER = re.compile(r"(?<!:):(\w+)")


def may_have_work(url: str, user: str | None, source: str, run_name: str, interval: float) -> bool:
    """Return whether the full path is needed.

    Args:
        url: the database's URL.
        user: the section's database role, or None.
        source: the source's dotted name.
        run_name: the name of the script's run rows.
        interval: the ``activity_interval``, in seconds.
    """
    return bool(with_work(url, user, {run_name: source}, interval))


def with_work(url: str, user: str | None, sources: dict[str, str], interval: float) -> set[str]:
    """Return the names of the runs that need the full path; ask for all of them over one connection.

    Args:
        url: the database's URL.
        user: the runs' database role, or None.
        sources: the sources' dotted names, by the name of the run.
        interval: the ``activity_interval``, in seconds.
    """
    questions = [
        {"source": source, "run_name": name, "minus_activity_interval": -interval}
        for name, source in sources.items()
    ]
    rows = None
    if path := sqlite_path(url):
        rows = _ask_sqlite(path, questions)
    elif backend_of(url) == POSTGRESQL:
        rows = _ask_postgresql(url, user, questions)
    if rows is None:
        return set(sources)
    return {name for name, (known, due, ready) in zip(sources, rows, strict=True) if not known or due or ready}


def _ask_sqlite(path: str, questions: list[dict[str, Any]]) -> list[Any] | None:
    import sqlite3

    if not os.path.exists(path):
        return None  # connecting would create the file
    try:
        connection = sqlite3.connect(path, timeout=5)
        try:
            return [connection.execute(statement("tick", "sqlite"), q).fetchone() for q in questions]
        finally:
            connection.close()
    except sqlite3.Error:
        return None


def _ask_postgresql(url: str, user: str | None, questions: list[dict[str, Any]]) -> list[Any] | None:
    import psycopg2
    from psycopg2.extensions import parse_dsn

    try:
        arguments = parse_dsn(libpq_url(url))
        if user:
            arguments["user"] = user
            arguments.pop("password", None)  # it belongs to the URL's user
        connection = psycopg2.connect(**{**CONNECT_ARGUMENTS, **arguments})
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                text = _PARAMETER.sub(r"%(\1)s", statement("tick", "postgresql"))
                # Both are sent as one text, and so run as one transaction: the limit ends with it, even behind
                # a pooler.
                # why: decisions 2026-11-25, the tick's statement ends after ten seconds
                text = f"SET LOCAL statement_timeout = '{ANSWER_SECONDS}s'; {text}"
                rows = []
                for question in questions:
                    cursor.execute(text, question)
                    rows.append(cursor.fetchone())
                return rows
        finally:
            connection.close()
    except psycopg2.Error:
        return None
