"""The statements that are written by hand, one per file, for both databases.

A file is ``NAME.sql``, or ``NAME.postgresql.sql`` and ``NAME.sqlite.sql`` where the databases need different
statements. Two words stand for what only the database can say, its clock (leases and due times never
use a machine's):

``@now``
    the present time;
``@after(:seconds)``
    the present time and so many seconds.

PostgreSQL's clock is `statement_timestamp()`: `now()` is the start of the transaction, which may be long ago,
and `clock_timestamp()` is volatile, so that no index serves a comparison with it.
SQLite's times are text in one fixed form, so that they compare as text; its clock gives milliseconds.
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
    """Return the text of one statement, its parameters written ``:name``.

    Args:
        name: the file's name without its ending, such as "claim".
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
    """Return the SQL of the present time and so many seconds.

    Args:
        seconds: as SQL.
        dialect: as for `statement`.
    """
    if dialect == "postgresql":
        return f"({POSTGRESQL_NOW} + make_interval(secs => {seconds}))"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"
