"""The hand-written statements, one per file, for both databases.

A file is ``NAME.sql``, or ``NAME.postgresql.sql`` and ``NAME.sqlite.sql`` if the databases need different
statements. Two words stand for the database's clock (leases and due times never use a machine's):

``@now``
    the present time;
``@after(:seconds)``
    the time that many seconds after the present.

    PostgreSQL's clock is `statement_timestamp()`: `now()` is the start of the transaction, which may be long
    ago,
and `clock_timestamp()` is volatile, so that no index helps a comparison with it.
SQLite's times are text in one fixed form, so that they compare as text; its clock has milliseconds.
"""

from __future__ import annotations

import os
import re
from functools import cache

POSTGRESQL_NOW = "statement_timestamp()"
SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"

_AFTER = re.compile(r"@after\((:\w+)\)")
_COMMENT = re.compile(r"--[^\n]*")


@cache
def statement(name: str, dialect: str) -> str:
    """Return the text of one statement, with parameters written as ``:name``.

    Args:
        name: the file's name without its extension, such as "claim".
        dialect: "postgresql" or "sqlite".
    """
    folder = os.path.dirname(__file__)
    path = os.path.join(folder, f"{name}.{dialect}.sql")
    if not os.path.exists(path):
        path = os.path.join(folder, f"{name}.sql")
    with open(path, encoding="utf-8") as file:
        text = _COMMENT.sub("", file.read())
    text = _AFTER.sub(lambda found: after(found[1], dialect), text)
    return text.replace("@now", POSTGRESQL_NOW if dialect == "postgresql" else SQLITE_NOW).strip()


def after(seconds: str, dialect: str) -> str:
    """Return the SQL for the time that is some seconds after the present.

    Args:
        seconds: the number of seconds, as SQL.
        dialect: as for `statement`.
    """
    if dialect == "postgresql":
        return f"({POSTGRESQL_NOW} + make_interval(secs => {seconds}))"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"
