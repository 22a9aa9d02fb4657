"""The tables other than the job's, as the code sees them; ``schema/`` creates and guards them in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from jobcron.database.clock import UtcDateTime

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A big integer that SQLite can number by itself, which it does only for INTEGER."""


class Base(DeclarativeBase):
    """The declarative base of jobcron's tables; applications have their own."""

    metadata = MetaData()


def jobs_connection(session: Session) -> Connection:
    """Return the connection to the jobs' database of a session's transaction; it may have several."""
    return session.connection(bind_arguments={"mapper": JobTypeRow.__mapper__})


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


class Renewal(Base):
    """The lease and the progress of a job that runs long, as its keeper writes them.

    It counts only with the token of the job's row, which is RUNNING, and if it ends later than that row's lease.
    """

    __tablename__ = "jobcron_renewal"

    job_id: Mapped[int] = mapped_column("job", BigId, primary_key=True, autoincrement=False)
    lease_token: Mapped[int] = mapped_column(BigInteger)
    lease_expires: Mapped[datetime] = mapped_column(UtcDateTime)
    progress: Mapped[int | None] = mapped_column(Integer)


class Event(Base):
    """An event in a job's history and audit trail: anything that happened to it except plain success."""

    __tablename__ = "jobcron_event"
    __table_args__: object = {"sqlite_autoincrement": True}

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
    __table_args__: object = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    hostname: Mapped[str] = mapped_column(Text)
    date_started: Mapped[datetime] = mapped_column(UtcDateTime)
    date_completed: Mapped[datetime] = mapped_column(UtcDateTime)
    completed: Mapped[int]
    incomplete: Mapped[int]
    oopses: Mapped[int]
    waited: Mapped[float | None] = mapped_column(Double)  # both: as of `EndedRun`; older releases write none
    ran: Mapped[float | None] = mapped_column(Double)


class PauseRow(Base):
    """A pause of a section, a type or a queue: what is in it does not begin to run until it is over."""

    __tablename__ = "jobcron_pause"

    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    actor: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ActRow(Base):
    """An act of an operator on jobs; its number undoes it."""

    __tablename__ = "jobcron_act"
    __table_args__: object = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)


class UndoRow(Base):
    """What an act changed in a job: columns before and after it, as JSON; it goes when that is undone."""

    __tablename__ = "jobcron_undo"

    act: Mapped[int] = mapped_column(BigId, ForeignKey("jobcron_act.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[int] = mapped_column("job", BigId, primary_key=True, autoincrement=False)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)


class Mail(Base):
    """A mail about a job that could not be sent yet."""

    __tablename__ = "jobcron_mail"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    job_id: Mapped[int] = mapped_column("job", ForeignKey("jobcron_job.id", ondelete="CASCADE"))
    lease_token: Mapped[int] = mapped_column(BigInteger)
    message: Mapped[bytes] = mapped_column(LargeBinary)
    tries: Mapped[int]
    due: Mapped[datetime] = mapped_column(UtcDateTime)


class SilenceRow(Base):
    """A section of which somebody is told that it is silent, or that its silence is over; the row then goes."""

    __tablename__ = "jobcron_silence"

    section: Mapped[str] = mapped_column(Text, primary_key=True)
    last_run: Mapped[datetime] = mapped_column(UtcDateTime)
    is_over: Mapped[bool]
    due: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the mail is tried again; None: it was sent


class WorkerRow(Base):
    """A worker, as it said last; for looking only, since leases decide which process lives.

    `name` is that of no other worker. `silent_after` is when somebody should wonder why it has said nothing more.
    """

    __tablename__ = "jobcron_worker"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int]
    version: Mapped[str] = mapped_column(Text)
    sections: Mapped[str] = mapped_column(Text)
    processes: Mapped[int]
    most_processes: Mapped[int]
    is_leaving: Mapped[bool]
    started: Mapped[datetime] = mapped_column(UtcDateTime)
    seen: Mapped[datetime] = mapped_column(UtcDateTime)
    silent_after: Mapped[datetime] = mapped_column(UtcDateTime)


class ChannelRow(Base):
    """A limit for the jobs of a channel, and of those below it.

    `configured` is what the configuration `origin` said last, as JSON; until that changes, what was set stays.
    """

    __tablename__ = "jobcron_channel"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    capacity: Mapped[int | None]
    per_key: Mapped[int | None]
    throttle: Mapped[int | None]
    period: Mapped[float | None] = mapped_column(Double)
    sequential: Mapped[str | None] = mapped_column(Text)
    passed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    origin: Mapped[str] = mapped_column(Text)
    configured: Mapped[str | None] = mapped_column(Text)
    changed_by: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class StartRow(Base):
    """A start of a job in a channel that limits how many there are in a period; it goes when that is past."""

    __tablename__ = "jobcron_start"
    __table_args__: object = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class ScheduleRow(Base):
    """A schedule, as configuration, code or an operator gave it, and when it is due next.

    `due_at` is its next slot, of which nothing has been decided; `kept_due_at` that of a retired one. Sections of
    its jobs look at it at `look_at`, others at `others_look_at`. At `seen_at` a run said that it is defined.
    """

    __tablename__ = "jobcron_schedule"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    origin: Mapped[str] = mapped_column(Text)
    job: Mapped[str] = mapped_column(Text)
    type_name: Mapped[str | None] = mapped_column(Text)
    arguments: Mapped[str] = mapped_column(Text)
    cron: Mapped[str | None] = mapped_column(Text)
    every: Mapped[int | None]
    time_zone: Mapped[str] = mapped_column(Text)
    missed: Mapped[str] = mapped_column(Text)
    missed_grace: Mapped[float | None] = mapped_column(Double)
    missed_bound: Mapped[int]
    overlap: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    renamed_from: Mapped[str | None] = mapped_column(Text)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    kept_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_by: Mapped[str | None] = mapped_column(Text)
    paused_because: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    others_look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    waits_for: Mapped[int | None] = mapped_column(BigInteger)  # a job that must have ended before
    last_job: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)


class EdgeRow(Base):
    """An edge of a graph: a job that waits for another one.

    `any_end`: however that one ends; else it must complete. `is_met`: it has. Triggers of the database write it
    whenever the predecessor's status changes.
    """

    __tablename__ = "jobcron_edge"

    successor_id: Mapped[int] = mapped_column(
        "successor",
        BigId,
        ForeignKey("jobcron_job.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    predecessor_id: Mapped[int] = mapped_column("predecessor", BigId, primary_key=True, autoincrement=False)
    any_end: Mapped[bool] = mapped_column(Boolean, server_default=false())
    is_met: Mapped[bool] = mapped_column(Boolean, server_default=false())


class SlotRow(Base):
    """A slot of a schedule of which something was decided, once over all hosts: the key is unique.

    `local_time` is what the clocks of the schedule's time zone showed, and after a blank the name of that zone.
    """

    __tablename__ = "jobcron_slot"

    schedule_id: Mapped[int] = mapped_column(
        "schedule", ForeignKey("jobcron_schedule.id", ondelete="CASCADE"), primary_key=True
    )
    local_time: Mapped[str] = mapped_column(Text, primary_key=True)
    fold: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(Text)
    missed: Mapped[int]
    job_id: Mapped[int | None] = mapped_column("job", BigInteger)
