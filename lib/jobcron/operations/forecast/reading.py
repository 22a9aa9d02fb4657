"""What the statements that take jobs would take: their own text, read only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Literal

from sqlalchemy import Connection, RowMapping, TextClause

from jobcron.database.sql import JOBS, LIMITS, LOCKED, statement
from jobcron.database.statements import clause

Taking = Literal["claim", "claim_limited", "dead", "dead_limited", "expire"]
Planned = Taking | Literal["tick"]

_JOBS = re.compile(r"\bjobcron_job(?: AS (\w+))?")

_LOCKS = (LOCKED["postgresql"], "FOR NO KEY UPDATE SKIP LOCKED")
_CHOICE = {
    "postgresql": re.compile(r"\bAS MATERIALIZED \((.*?)\n\)", re.DOTALL),
    "sqlite": re.compile(r"WHERE id IN \((.*)\)\s*RETURNING", re.DOTALL),
}
_CLAIMED = "\nSELECT id FROM batch ORDER BY place"


def would_take(connection: Connection, name: Taking, parameters: Mapping[str, object]) -> list[RowMapping]:
    """Return the rows that a statement would take now, in its order; rows that others have locked are among them.

    Args:
        connection: it is only read.
        name: the statement; of ``dead``, all dead jobs up to the limit instead of the first one's batch.
        parameters: the statement's own, with ``batch`` as the limit.
    """
    return list(connection.execute(_clause(name, connection), parameters).mappings())


def whole_scans(connection: Connection, name: Planned, parameters: Mapping[str, object]) -> set[str]:
    """Return the tables that a statement would read from end to end; of SQLite's, only the table of jobs.

    Args:
        connection: it is only read.
        name: the statement; it is not performed.
        parameters: the statement's own, and perhaps others.
    """
    dialect = connection.dialect.name
    told = statement(name, dialect) if name == "tick" else _reading(name, dialect)
    explain = "EXPLAIN QUERY PLAN" if dialect == "sqlite" else "EXPLAIN (FORMAT JSON)"
    explained = clause(connection, f"{explain} {told}")
    own = {name: value for name, value in parameters.items() if name in explained.compile().params}
    found = connection.execute(explained, own)
    if dialect == "postgresql":
        return set(_scanned(found.scalar_one()))
    names = {alias or "jobcron_job" for alias in _JOBS.findall(told)}
    steps = (f"{detail} ".split(" ", 2) for *_, detail in found)
    # An automatic index is made anew by each execution, from the whole table.
    return {
        "jobcron_job" for _, table, *how in steps if table in names and (not any(how) or "AUTOMATIC" in how[0])
    }


def _scanned(plan: object) -> Iterator[str]:
    if isinstance(plan, dict):
        if plan.get("Node Type") == "Seq Scan":
            yield str(plan["Relation Name"])
        for part in plan.values():
            yield from _scanned(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from _scanned(part)


def _clause(name: Taking, connection: Connection) -> TextClause:
    return clause(connection, _reading(name, connection.dialect.name))


@cache
def _reading(name: Taking, dialect: str) -> str:
    """Return the text of a statement without its locks and its write."""
    text = statement(name, dialect, (LIMITS | JOBS) - {"heads"})  # each job in its turn, not only the first
    for lock in _LOCKS:
        text = text.replace(lock, "")
    if name in ("claim", "claim_limited"):
        return text.partition("\nUPDATE jobcron_job")[0] + _CLAIMED
    if name in ("dead", "dead_limited"):
        return text.replace("LIMIT 1", "LIMIT :batch", 1)
    found = _CHOICE[dialect].search(text)
    assert found is not None, text
    return found[1].strip()
