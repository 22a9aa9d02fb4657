"""Times in the database: one column type, and the database's own clock as an expression.

Leases and due times are compared by one clock, the database's, whatever the clocks of the machines say
(docs/explanation/life-of-a-job.md).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from jobcron.database.sql import POSTGRESQL_NOW, SQLITE_NOW, after


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware datetimes in, aware datetimes in UTC out; naive ones are refused.

    ``timestamptz`` on PostgreSQL; on SQLite text in UTC with six digits of a second, always, so that
    text order is time order.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what the driver is given."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a datetime with a time zone, got the naive {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what the application sees."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class database_now(FunctionElement[datetime]):
    """The database's present time, as an SQL expression."""

    type = UtcDateTime()
    inherit_cache = True


class database_after(FunctionElement[datetime]):
    """The database's present time and so many seconds, as an SQL expression."""

    type = UtcDateTime()
    inherit_cache = True


class age_in_seconds(FunctionElement[float]):
    """How long ago a moment was, by the database's clock, as an SQL expression; NULL where it is no moment.

    Only the database reads the moment: one that somebody wrote by hand, and wrong, is no error of Python's.
    """

    type = Float()
    inherit_cache = True


@compiles(database_now, "postgresql")
def _postgresql_now(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:
    return POSTGRESQL_NOW


@compiles(database_now, "sqlite")
def _sqlite_now(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:
    return SQLITE_NOW


@compiles(database_after)
def _after(element: database_after, compiler: SQLCompiler, **kw: Any) -> str:
    return after(compiler.process(element.clauses, **kw), compiler.dialect.name)


@compiles(age_in_seconds, "postgresql")
def _postgresql_age(element: age_in_seconds, compiler: SQLCompiler, **kw: Any) -> str:
    return f"extract(epoch FROM {POSTGRESQL_NOW} - {compiler.process(element.clauses, **kw)})::float8"


@compiles(age_in_seconds, "sqlite")
def _sqlite_age(element: age_in_seconds, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(julianday('now') - julianday({compiler.process(element.clauses, **kw)})) * 86400.0"
