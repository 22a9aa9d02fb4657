"""Times in the database: a column type, and expressions of the database's clock.

Leases and due times are compared by one clock, the database's, whatever the machines' clocks show
(docs/explanation/life-of-a-job.md).
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from jobcron.database.sql import POSTGRESQL_NOW, SQLITE_NOW, after


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: takes aware datetimes, returns them in UTC, and refuses naive ones.

    ``timestamptz`` on PostgreSQL; on SQLite text in UTC, always with six digits of a second, so that the
    order of texts is the order of times.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the value for the driver."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a datetime with a time zone, got the naive {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the value for the application."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class database_now(FunctionElement[datetime]):
    """The database's present time, as an SQL expression."""

    type = UtcDateTime()
    inherit_cache = True


class database_after(FunctionElement[datetime]):
    """The time that is some seconds after the database's present time, as an SQL expression."""

    type = UtcDateTime()
    inherit_cache = True


class age_in_seconds(FunctionElement[float]):
    """How long ago a time was, by the database's clock, as an SQL expression; NULL if it is not a time.

    Only the database parses the time: an invalid one, written by hand, does not raise in Python.
    """

    type = Float()
    inherit_cache = True


@compiles(database_now, "postgresql")
def _postgresql_now(element: database_now, compiler: SQLCompiler, **kw: object) -> str:
    return POSTGRESQL_NOW


@compiles(database_now, "sqlite")
def _sqlite_now(element: database_now, compiler: SQLCompiler, **kw: object) -> str:
    return SQLITE_NOW


@compiles(database_after)
def _after(element: database_after, compiler: SQLCompiler, **kw: object) -> str:
    return after(compiler.process(element.clauses, **kw), compiler.dialect.name)


@compiles(age_in_seconds, "postgresql")
def _postgresql_age(element: age_in_seconds, compiler: SQLCompiler, **kw: object) -> str:
    return f"extract(epoch FROM {POSTGRESQL_NOW} - {compiler.process(element.clauses, **kw)})::float8"


@compiles(age_in_seconds, "sqlite")
def _sqlite_age(element: age_in_seconds, compiler: SQLCompiler, **kw: object) -> str:
    return f"(julianday('now') - julianday({compiler.process(element.clauses, **kw)})) * 86400.0"
