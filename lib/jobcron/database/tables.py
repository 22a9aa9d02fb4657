"""The metadata of jobcron's tables, and the tables other than the job's.

This is how the code sees the tables; ``schema/`` creates and guards them in the database.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, ForeignKey, Integer, MetaData, Text, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from jobcron.database.clock import UtcDateTime

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A big integer that SQLite can number by itself, which it does only for INTEGER."""


class Base(DeclarativeBase):
    """The declarative base of jobcron's tables; applications have their own."""

    metadata = MetaData()


def jobs_connection(session: Session) -> Connection:
    """Return the connection to the jobs' database of a session's transaction; it may have several."""
    return session.connection(bind_arguments={"mapper": inspect(JobTypeRow)})


def include_object(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Keep an application's Alembic autogenerate from dropping jobcron's tables, which are not in its metadata.

    For ``context.configure(include_object=jobcron.include_object)`` in the application's ``env.py``. Indexes
    and constraints are treated like their tables.
    """
    table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", None)
    return not str(table or "").startswith("jobcron_")


class JobTypeRow(Base):
    """A job type that the database knows: a number for a name."""

    __tablename__ = "jobcron_type"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)


class JobSourceRow(Base):
    """A dotted name by which a section can name a source of this type.

    With these rows a tick finds out whether a source has ready jobs without importing the application.
    """

    __tablename__ = "jobcron_source"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    type_id: Mapped[int] = mapped_column("type", ForeignKey("jobcron_type.id"), primary_key=True)
    own_iter_ready: Mapped[bool]


class Event(Base):
    """An event in a job's history and audit trail: anything that happened to it except plain success."""

    __tablename__ = "jobcron_event"
    __table_args__: Any = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[int] = mapped_column("job", ForeignKey("jobcron_job.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    oops_id: Mapped[str | None] = mapped_column(Text)
    lease_token: Mapped[int] = mapped_column(BigInteger)


class Run(Base):
    """A run of a script (LP-27); of runs that found nothing, at most one per ``activity_interval``."""

    __tablename__ = "jobcron_run"
    __table_args__: Any = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    hostname: Mapped[str] = mapped_column(Text)
    date_started: Mapped[datetime] = mapped_column(UtcDateTime)
    date_completed: Mapped[datetime] = mapped_column(UtcDateTime)
    completed: Mapped[int]
    incomplete: Mapped[int]
    oopses: Mapped[int]
