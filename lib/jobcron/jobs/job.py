"""The shared row of every job, and SQL conditions on it.

Its methods change its status by hand (`hand_moves`).
"""

from __future__ import annotations

import uuid as uuid_module
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    event,
    exists,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import Mapped, aliased, mapped_column, object_session
from sqlalchemy.types import TypeEngine
from zope.interface import implementer

from jobcron.database.clock import UtcDateTime, database_now
from jobcron.database.tables import Base, BigId, JobTypeRow, PauseRow, Renewal, jobs_connection
from jobcron.interfaces import IJob, JobStatus
from jobcron.jobs.arguments.document import Document, written
from jobcron.jobs.arguments.json_data import JobData
from jobcron.jobs.arguments.row_data import RowMetadata
from jobcron.jobs.hand_moves import HandMoves
from jobcron.jobs.status import NOT_STARTED, PENDING, StatusType, Written, cancelled


@implementer(IJob)
class Job(HandMoves, Base):
    """The shared row: what all jobs have in common (LP-01 to LP-03)."""

    __tablename__ = "jobcron_job"
    __table_args__: object = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[uuid_module.UUID] = mapped_column(Uuid, default=uuid_module.uuid4)
    type_id: Mapped[int] = mapped_column("type", Integer, ForeignKey("jobcron_type.id"))
    queue_name: Mapped[str] = mapped_column("queue", Text, server_default="default")
    _status: Mapped[JobStatus] = mapped_column("status", StatusType, server_default="0")
    priority: Mapped[int] = mapped_column(Integer, server_default="10")
    scheduled_start: Mapped[datetime] = mapped_column(UtcDateTime, server_default=database_now())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    asked_start: Mapped[datetime | None] = mapped_column(UtcDateTime)
    date_created: Mapped[datetime] = mapped_column(UtcDateTime, server_default=database_now())
    date_started: Mapped[datetime | None] = mapped_column(UtcDateTime)
    date_finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_expires: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_token: Mapped[int] = mapped_column(BigInteger, server_default="0")
    begun_token: Mapped[int] = mapped_column(BigInteger, server_default="0")
    has_committed: Mapped[bool] = mapped_column(Boolean, server_default=false())
    claimed_by: Mapped[str | None] = mapped_column(Text)
    attempt_count: Mapped[int] = mapped_column(Integer, server_default="0")
    crash_count: Mapped[int] = mapped_column(Integer, server_default="0")
    max_retries: Mapped[int | None] = mapped_column(Integer, default=0)
    requester: Mapped[str | None] = mapped_column(Text)
    unique_key: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    _progress: Mapped[int | None] = mapped_column("progress", Integer)
    result: Mapped[str | None] = mapped_column(Text)
    log: Mapped[str | None] = mapped_column(Text)
    oops_id: Mapped[str | None] = mapped_column(Text)
    json_data: Mapped[dict[str, Any]] = mapped_column(Document.as_mutable(JobData), default=dict)
    steps: Mapped[dict[str, object] | None] = mapped_column(MutableDict.as_mutable(JobData))
    target_type: Mapped[str | None] = mapped_column(Text)
    target_id: Mapped[str | None] = mapped_column(Text)
    target_mark: Mapped[str | None] = mapped_column(Text)
    needs: Mapped[str | None] = mapped_column(Text)
    has_successors: Mapped[bool] = mapped_column(Boolean, server_default=false())
    channel: Mapped[str | None] = mapped_column(Text)
    channel_key: Mapped[str] = mapped_column(Text, server_default="")

    def __repr__(self) -> str:
        return f"<Job {self.id}>"

    @hybrid_property
    def status(self) -> JobStatus:
        """The status of the job; read-only: the methods and the runner change it."""
        return self._status

    @hybrid_property
    def progress(self) -> int | None:
        """Per cent done, as the job last reported it; while it runs, this is read from the keeper's own table."""
        session = object_session(self)
        if session is None or self._status is not JobStatus.RUNNING:
            return self._progress
        with session.no_autoflush:
            newer = session.execute(select(Renewal.progress).where(Job.id == self.id, is_renewed())).first()
        return self._progress if newer is None or newer[0] is None else newer[0]

    @progress.inplace.setter
    def _set_progress(self, value: int | None) -> None:
        self._progress = value

    @progress.inplace.expression
    @classmethod
    def _progress_expression(cls) -> ColumnElement[int | None]:
        newer = select(Renewal.progress).where(is_renewed(cls)).correlate(cls).scalar_subquery()
        return func.coalesce(newer, cls._progress)

    @progress.inplace.update_expression
    @classmethod
    def _progress_assignment(cls, value: object) -> list[tuple[Any, Any]]:
        return [(cls._progress, value)]

    @property
    def is_pending(self) -> bool:
        """Whether the job has not ended yet."""
        return self.status in PENDING

    @property
    def is_runnable(self) -> bool:
        """Whether the job is waiting, due, not expired, not leased and not paused, by the database's clock."""
        session = self._session()
        session.flush()
        return session.scalar(select(Job.id).where(Job.id == self.id, is_ready())) is not None

    def _leased_until(self) -> datetime | None:
        session = self._session()
        with session.no_autoflush:
            return session.scalar(select(lease_end()).where(Job.id == self.id))

    @staticmethod
    def _cancellation() -> Written:
        return cancellation()

    @staticmethod
    def _is_unleased() -> ColumnElement[bool]:
        return or_(lease_end().is_(None), lease_end() <= database_now())

    def _twin(self) -> int | None:
        return twin_of(jobs_connection(self._session()), self.id)


# Not in the body of the class, where SQLAlchemy warns of the name. Type checkers see that of the class.
type.__setattr__(Job, "metadata", RowMetadata(lambda job: cast("Job", job)))


event.listen(Job, "after_insert", written)
event.listen(Job, "after_update", written)

START_ORDER = (Job.priority, Job.scheduled_start, Job.id)
"""The order in which ready jobs start."""


HALVES = (Job.channel.is_(None), Job.channel.is_not(None))
"""Each waiting job meets one of these. An index has each half in the order of claims, and none has both."""


def has_status(*statuses: JobStatus) -> ColumnElement[bool]:
    """Return the condition that a job has one of these statuses.

    The statuses are literals, in the order of the index if it names several: for parameters SQLite would use no
    partial index, and read all jobs.
    """
    if len(statuses) == 1:
        return Job._status == literal(statuses[0], StatusType, literal_execute=True)
    return Job._status.in_(bindparam(None, statuses, StatusType, expanding=True, literal_execute=True))


def can_hold_key() -> ColumnElement[bool]:
    """Return the condition of the index of unique keys, which has a job's key until the job has started.

    It names the key apart from any comparison with it, of which the databases do not always conclude that a key is
    there.
    """
    return and_(has_status(*NOT_STARTED), Job.unique_key.is_not(None))


def is_renewed(job: type[Job] = Job) -> ColumnElement[bool]:
    """Return the condition that a row of `Renewal` has the lease and the progress of a job.

    Args:
        job: the mapped class, or an alias of it.
    """
    return and_(
        job._status == literal(JobStatus.RUNNING, StatusType, literal_execute=True),
        Renewal.job_id == job.id,
        Renewal.lease_token == job.lease_token,
        # Equal: it was renewed in the millisecond in which it was claimed, by SQLite's clock.
        or_(job.lease_expires.is_(None), Renewal.lease_expires >= job.lease_expires),
    )


def lease_end() -> ColumnElement[datetime | None]:
    """Return the end of a job's lease, renewals included, as an SQL expression."""
    newer = select(Renewal.lease_expires).where(is_renewed()).correlate(Job).scalar_subquery()
    return func.coalesce(newer, Job.lease_expires, type_=UtcDateTime())


def cancellation() -> Written:
    """Return the values of a job that is cancelled.

    If it runs, and has committed something, it keeps its lease: nobody calls its failure hook before its process
    has noticed and let go of it, or the lease is over.
    """
    is_at_work = and_(has_status(JobStatus.RUNNING), Job.has_committed)
    kept = {"lease_expires": case((is_at_work, lease_end()), else_=None)}
    return {**cancelled(Job._status, Job.attempt_count), **kept}


def is_ready() -> ColumnElement[bool]:
    """Return the condition that a job is waiting, due, not expired, not leased and not paused.

    The database's clock decides. A pause of its section is not seen: a row does not know its section.
    """
    now = database_now()
    return and_(
        has_status(JobStatus.WAITING),
        Job.scheduled_start <= now,
        or_(Job.lease_expires.is_(None), Job.lease_expires <= now),
        can_start(),
        is_not_paused(),
    )


def is_not_paused() -> ColumnElement[bool]:
    """Return the condition that neither the queue nor the type of a job is paused."""
    lasts = or_(PauseRow.until.is_(None), PauseRow.until > database_now())
    queues = select(PauseRow.name).where(PauseRow.scope == "queue", lasts)
    types = select(JobTypeRow.id).join(PauseRow, PauseRow.name == JobTypeRow.name)
    return and_(Job.queue_name.not_in(queues), Job.type_id.not_in(types.where(PauseRow.scope == "type", lasts)))


def is_in_open_channel() -> ColumnElement[bool]:
    """Return the condition that the channel of a job is not paused, nor one above it; a job in none fits."""
    lasts = or_(PauseRow.until.is_(None), PauseRow.until > database_now())
    # The names with a dot behind them: root.export is not within root.ex.
    name = PauseRow.name + "."
    is_within = func.substr(Job.channel + ".", 1, func.length(name)) == name
    return ~exists().where(PauseRow.scope == "channel", lasts, is_within).correlate(Job)


def can_start(job: type[Job] = Job) -> ColumnElement[bool]:
    """Return the condition that a job has begun, has no expiry, or has not reached it, by the database's clock.

    Args:
        job: the mapped class, or an alias of it.
    """
    return or_(job.expires_at.is_(None), job.expires_at > database_now(), job.begun_token > 0)


def twin_of(connection: Connection, job_id: int) -> int | None:
    """Return the number of the job's twin, which has the same unique key and has not begun, or None."""
    mine = aliased(Job)
    twin = select(Job.id).where(
        mine.id == job_id,
        Job.type_id == mine.type_id,
        Job.unique_key == mine.unique_key,
        can_hold_key(),
        Job.begun_token == 0,
        Job.id != job_id,
    )
    return connection.scalar(twin)


def stored_steps(steps: dict[str, object], dialect: Dialect) -> object:
    """Return a value of the column `Job.steps` as the driver gets it, for a statement written by hand."""
    column: TypeEngine[object] = Job.__table__.c.steps.type
    processor = column.dialect_impl(dialect).bind_processor(dialect)
    return steps if processor is None else processor(steps)
