"""The shared row of every job, and SQL conditions on it.

Its methods change its status by hand (`hand_moves`).
"""

from __future__ import annotations

import uuid as uuid_module
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import Mapped, aliased, mapped_column
from zope.interface import implementer

from jobcron.database.clock import UtcDateTime, database_now
from jobcron.database.tables import Base, BigId, jobs_connection
from jobcron.interfaces import IJob, JobStatus
from jobcron.jobs.arguments.json_data import JobData
from jobcron.jobs.hand_moves import HandMoves
from jobcron.jobs.status import NOT_STARTED, PENDING, StatusType


@implementer(IJob)
class Job(HandMoves, Base):
    """The shared row: what all jobs have in common (LP-01 to LP-03)."""

    __tablename__ = "jobcron_job"
    __table_args__: Any = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[uuid_module.UUID] = mapped_column(Uuid, default=uuid_module.uuid4)
    type_id: Mapped[int] = mapped_column("type", Integer, ForeignKey("jobcron_type.id"))
    queue_name: Mapped[str] = mapped_column("queue", Text, server_default="default")
    _status: Mapped[JobStatus] = mapped_column("status", StatusType, server_default="0")
    priority: Mapped[int] = mapped_column(Integer, server_default="10")
    scheduled_start: Mapped[datetime] = mapped_column(UtcDateTime, server_default=database_now())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    date_created: Mapped[datetime] = mapped_column(UtcDateTime, server_default=database_now())
    date_started: Mapped[datetime | None] = mapped_column(UtcDateTime)
    date_finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_expires: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_token: Mapped[int] = mapped_column(BigInteger, server_default="0")
    claimed_by: Mapped[str | None] = mapped_column(Text)
    attempt_count: Mapped[int] = mapped_column(Integer, server_default="0")
    crash_count: Mapped[int] = mapped_column(Integer, server_default="0")
    max_retries: Mapped[int | None] = mapped_column(Integer, default=0)
    requester: Mapped[str | None] = mapped_column(Text)
    unique_key: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    progress: Mapped[int | None] = mapped_column(Integer)
    result: Mapped[str | None] = mapped_column(Text)
    log: Mapped[str | None] = mapped_column(Text)
    oops_id: Mapped[str | None] = mapped_column(Text)
    json_data: Mapped[dict[str, Any]] = mapped_column(MutableDict.as_mutable(JobData), default=dict)
    target_type: Mapped[str | None] = mapped_column(Text)
    target_id: Mapped[str | None] = mapped_column(Text)

    def __repr__(self) -> str:
        return f"<Job {self.id}>"

    @hybrid_property
    def status(self) -> JobStatus:
        """The status of the job; read-only: the methods and the runner change it."""
        return self._status

    @property
    def is_pending(self) -> bool:
        """Whether the job has not ended yet."""
        return self.status in PENDING

    @property
    def is_runnable(self) -> bool:
        """Whether the job is waiting, due, not expired and not leased, by the database's clock."""
        session = self._session()
        session.flush()
        return session.scalar(select(Job.id).where(Job.id == self.id, is_ready())) is not None

    def _twin(self) -> int | None:
        return twin_of(jobs_connection(self._session()), self.id)


START_ORDER = (Job.priority, Job.scheduled_start, Job.id)
"""The order in which ready jobs start."""


def has_status(*statuses: JobStatus) -> ColumnElement[bool]:
    """Return the condition that a job has one of these statuses.

    The statuses are literals, in the order of the index if it names several: for parameters SQLite would use no
    partial index, and read all jobs.
    """
    if len(statuses) == 1:
        return Job._status == literal(statuses[0], StatusType, literal_execute=True)
    return Job._status.in_(bindparam(None, statuses, StatusType, expanding=True, literal_execute=True))


def is_ready() -> ColumnElement[bool]:
    """Return the condition that a job is waiting, due, not expired and not leased, by the database's clock."""
    now = database_now()
    return and_(
        has_status(JobStatus.WAITING),
        Job.scheduled_start <= now,
        or_(Job.lease_expires.is_(None), Job.lease_expires <= now),
        or_(Job.expires_at.is_(None), Job.expires_at > now),
    )


def twin_of(connection: Connection, job_id: int) -> int | None:
    """Return the number of the job's twin, which has the same unique key and has not started, or None."""
    mine = aliased(Job)
    twin = select(Job.id).where(
        mine.id == job_id,
        Job.type_id == mine.type_id,
        Job.unique_key == mine.unique_key,
        has_status(*NOT_STARTED),
        Job.id != job_id,
    )
    return connection.scalar(twin)
