"""Execute the statements of `jobcron.database.sql`, and limit how long a short transaction can wait."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Self

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    CursorResult,
    Dialect,
    Text,
    TextClause,
    bindparam,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.sql.operators import OperatorType

from jobcron.database.sql import start_conditions, statement, statement_names
from jobcron.database.tables import JobTypeRow

IDLE_SECONDS = 10.0
"""How long PostgreSQL waits for a process that was stopped, before it frees what the transaction has locked."""

_TABLE = re.compile(r"\bjobcron_\w+")

AnyInsert = postgresql.Insert | sqlite.Insert
"""Both databases have INSERT … ON CONFLICT, SQLAlchemy only for each by itself."""


def be_brief(connection: Connection, seconds: float) -> None:
    """Limit how long this short transaction waits for a lock, in seconds, and how long it can stay idle.

    On SQLite its only lock is taken when it begins.
    """
    if connection.dialect.name == "postgresql":
        # LOCAL: behind pgbouncer the next transaction may be another client's.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {seconds * 1000:.0f}; {limit_idleness()}")


def limit_idleness() -> str:
    """Return the text that makes PostgreSQL end a transaction whose process sends nothing any more."""
    return f"SET LOCAL idle_in_transaction_session_timeout = {round(IDLE_SECONDS * 1000)};\n"


def end_if_stopped(connection: Connection) -> None:
    """Let the server end this short transaction, and free its locks, if its process is stopped in the middle."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(limit_idleness())


def expect_few_rows(connection: Connection) -> None:
    """Keep PostgreSQL from preparing for millions of rows in this transaction, which reads a few.

    It compiles statements to machine code, and starts processes that read for it, by its guess of the cost. Of a
    walk over priorities it guesses a hundred rounds, and then compiles for seconds what runs for milliseconds; to
    start the processes takes longer than to read the newest rows.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0")


@cache
def _clause(name: str, dialect: str, schema: str, parts: frozenset[str] | None) -> TextClause:
    return _in_schema(statement(name, dialect, parts), schema)


def clause(connection: Connection, sql: str) -> TextClause:
    """Return a text with our tables' names as a clause; they get their schema if the engine names one."""
    return _in_schema(sql, _schema(connection))


def _in_schema(sql: str, schema: str) -> TextClause:
    return text(_qualified(sql, schema))


def _qualified(sql: str, schema: str) -> str:
    return _TABLE.sub(lambda found: f"{schema}{found[0]}", sql)


@cache
def text_of(name: str, dialect: str, schema: str) -> str:
    """Return the text of a statement of `jobcron.database.sql`, with the schema of our tables: see `schema_of`."""
    return _qualified(statement(name, dialect), schema)


def conditions_of(connection: Connection, row: str) -> dict[str, str]:
    """Return the conditions under which a waiting job is claimed, for a connection: see `start_conditions`."""
    schema = _schema(connection)
    found = start_conditions(row, connection.dialect.name)
    return {name: _qualified(sql, schema) for name, sql in found.items()}


def read_statements(dialect: str) -> None:
    """Read all statements for a dialect, so that nothing is read once jobs are claimed.

    The package's folder may be replaced under a run, and a job that has succeeded must not fail for that.
    """
    # why: decisions 2026-11-29, from the claim on a run reads nothing of the package
    for name in statement_names(dialect):
        statement(name, dialect)  # which keeps it


def execute(
    connection: Connection,
    name: str,
    parameters: Mapping[str, object] | Sequence[Mapping[str, object]],
    parts: frozenset[str] | None = None,
) -> CursorResult[Any]:
    """Execute a statement of `jobcron.database.sql`, once for each set of parameters; for `parts` see there."""
    return connection.execute(_clause(name, connection.dialect.name, _schema(connection), parts), parameters)


def _schema(connection: Connection) -> str:
    return schema_of(connection.dialect)


def schema_of(dialect: Dialect) -> str:
    """Return the schema of our tables, as a prefix, if the dialect's engine names it: ours do."""
    preparer = dialect.identifier_preparer
    schema = preparer.schema_for_object(JobTypeRow.__table__)
    return "" if schema is None else f"{preparer.quote_schema(schema)}."


def insert_into(table: type[object], connection: Connection) -> AnyInsert:
    """Return an INSERT that can be told what to do on a conflict, by ``on_conflict_do_update`` or ``…_nothing``.

    Args:
        table: a table or a mapped class.
        connection: for whose database the statement is.
    """
    return insert_for(table, connection.dialect.name)


def insert_for(table: type[object], dialect: str) -> AnyInsert:
    """Return the same, given the name of the dialect."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


AnyColumn = InstrumentedAttribute[int] | InstrumentedAttribute[str] | InstrumentedAttribute[str | None]

_NUMBERS = JSON().with_variant(postgresql.ARRAY(BigInteger), "postgresql")
_TEXTS = JSON().with_variant(postgresql.ARRAY(Text), "postgresql")
"""Values as one parameter: an array of PostgreSQL's, JSON for SQLite."""


class _Among(FunctionElement[bool]):
    """A column and the array that has its value."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> Self:
        """Return the condition as a part of another one: as it is, since SQLite uses no index for ``… = 1``."""
        return self


@compiles(_Among)
def _among_an_array(element: _Among, compiler: SQLCompiler, **options: object) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    if compiler.dialect.name == "postgresql":
        return f"{column} = ANY ({values})"
    return f"{column} IN (SELECT value FROM json_each({values}))"


def among(column: AnyColumn, values: Collection[int] | Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these values.

    Unlike ``IN``, it is the same text for any number of values, which databases and drivers plan and keep once.

    Args:
        column: of whole numbers, or of text.
        values: the values; none of them is None.
    """
    kind = _TEXTS if isinstance(column.expression.type, Text) else _NUMBERS
    return _Among(column, bindparam(None, list(values), kind, unique=True))
