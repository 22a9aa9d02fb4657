"""The shared row of every job, and the legal moves of its status.

The runner does not use the methods here: it claims (`claim`) and finishes (`finish`) with statements of its
own. These are for people and code that move a job by hand.
"""

from __future__ import annotations

import getpass
import os
import socket
import uuid as uuid_module
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    ForeignKey,
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column, object_session
from sqlalchemy.types import SmallInteger, TypeDecorator
from zope.interface import implementer

from jobcron.claim import Claim
from jobcron.clock import UtcDateTime, database_after, database_now
from jobcron.errors import DuplicateJob, InvalidTransition, LeaseHeld, NoSession
from jobcron.history import record
from jobcron.interfaces import IJob, JobStatus
from jobcron.payload import JobData
from jobcron.tables import Base, BigId, jobs_connection

W, R, C, F, S = (
    JobStatus.WAITING,
    JobStatus.RUNNING,
    JobStatus.COMPLETED,
    JobStatus.FAILED,
    JobStatus.SUSPENDED,
)
X, E, B = JobStatus.CANCELLED, JobStatus.EXPIRED, JobStatus.BLOCKED

MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    W: frozenset({R, S, X, E, C}),
    R: frozenset({W, C, F, S, X}),
    C: frozenset({W}),
    F: frozenset({W, C}),
    S: frozenset({W, X, C}),
    X: frozenset({W, C}),
    E: frozenset({W, C}),
    B: frozenset({W, X, E}),
}
"""The legal moves by hand (docs/reference/statuses.md). The database refuses all others, whoever writes."""

STATUS_OF = {int(status): status for status in JobStatus}

NOT_STARTED = (W, S, B)
"""A job in one of these has not read the state that it will work on: its unique key is taken."""

ENDED = (C, F, X, E)

PENDING = (W, R, S, B)


class StatusType(TypeDecorator[JobStatus]):
    """A `JobStatus` in a small integer."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: JobStatus | None, dialect: Dialect) -> int | None:
        """Return what the driver is given."""
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> JobStatus | None:
        """Return what the application sees."""
        return None if value is None else STATUS_OF[value]


@implementer(IJob)
class Job(Base):
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
        """What became of the job; read-only, the methods and the runner move it."""
        return self._status

    @property
    def is_pending(self) -> bool:
        """Whether the job is not at its end yet."""
        return self.status in PENDING

    @property
    def is_runnable(self) -> bool:
        """Whether the job is waiting, due, not expired and not leased, by the database's clock."""
        session = self._session()
        session.flush()
        return session.scalar(select(Job.id).where(Job.id == self.id, is_ready())) is not None

    def acquireLease(self, duration: float = 300) -> None:
        """Take the lease for `duration` seconds; a waiting job is passed over by runners until it ends.

        Raises:
            LeaseHeld: the lease is held.
        """
        session = self._session()
        session.flush()
        # One statement: of two that try at once, the second sees the first one's lease.
        taken = session.execute(
            update(Job)
            .where(Job.id == self.id, or_(Job.lease_expires.is_(None), Job.lease_expires <= database_now()))
            .values(lease_expires=database_after(duration))
            .execution_options(synchronize_session=False)
            .returning(Job.id)
        ).all()
        session.refresh(self)
        if not taken:
            raise LeaseHeld

    def getTimeout(self) -> int:
        """Return the whole seconds that are left of the lease, 0 where it is past or not held."""
        if self.lease_expires is None:
            return 0
        now = self._session().scalar(select(database_now())) or datetime.now(UTC)
        return max(0, int((self.lease_expires - now).total_seconds()))

    def start(self, manage_transaction: bool = False) -> None:
        """Move to RUNNING and begin an attempt; a lease that is not held is taken for five minutes."""
        if self.getTimeout() == 0:
            self.acquireLease()
        self._move(
            R,
            manage_transaction,
            None,
            date_started=database_now(),
            date_finished=None,
            attempt_count=Job.attempt_count + 1,
            lease_token=Job.lease_token + 1,
            claimed_by=worker_name(),
        )

    def complete(self, manage_transaction: bool = False) -> None:
        """Move to COMPLETED."""
        self._move(C, manage_transaction, "completed", date_finished=database_now(), lease_expires=None)

    def fail(self, manage_transaction: bool = False) -> None:
        """Move to FAILED; with `manage_transaction` what the transaction did before is undone."""
        if manage_transaction:
            self._session().rollback()
        self._move(F, manage_transaction, "failed", date_finished=database_now(), lease_expires=None)

    def queue(self, manage_transaction: bool = False, abort_transaction: bool = False) -> None:
        """Move back to WAITING, afresh: no attempts, no crashes, no expiry. No move where it waits.

        With `manage_transaction` it is committed, also where there was nothing to move, as Launchpad does.

        Raises:
            DuplicateJob: another job with the same unique key has not started yet.
        """
        if abort_transaction:
            self._session().rollback()
        if self.status is not W:
            self._requeue("requeued", manage_transaction)
        elif manage_transaction:
            self._session().commit()

    def suspend(self, manage_transaction: bool = False) -> None:
        """Move to SUSPENDED.

        Raises:
            DuplicateJob: it ran, and another job with the same unique key has come that has not started yet.
        """
        if self.status is R:
            self._refuse_twin("is suspended")
        self._move(S, manage_transaction, "suspended", lease_expires=None)

    def resume(self) -> None:
        """Move from SUSPENDED back to WAITING, afresh.

        Raises:
            InvalidTransition: the job is not suspended.
        """
        if self.status is not S:
            raise InvalidTransition(self.status, W)
        self._requeue("resumed", manage_transaction=False)

    def cancel(self, manage_transaction: bool = False) -> None:
        """Move to CANCELLED; a runner that has the job cannot commit it any more."""
        counted = Job.attempt_count - (1 if self.status is R else 0)
        self._move(
            X,
            manage_transaction,
            "cancelled",
            date_finished=database_now(),
            lease_expires=None,
            attempt_count=counted,
        )

    def _requeue(self, kind: str, manage_transaction: bool) -> None:
        session = self._session()
        self._refuse_twin("waits again")
        detail = f"attempt_count was {self.attempt_count}, crash_count was {self.crash_count}"
        self._move(
            W,
            False,
            None,
            date_finished=None,
            lease_expires=None,
            claimed_by=None,
            progress=None,
            expires_at=None,
            attempt_count=0,
            crash_count=0,
        )
        self._note(kind, detail)
        if manage_transaction:
            session.commit()

    def _refuse_twin(self, what: str) -> None:
        if self.unique_key is None:
            return
        session = self._session()
        session.flush()
        twin = twin_of(jobs_connection(session), self.id)
        if twin is not None:
            raise DuplicateJob(
                f"expected no other job with the key {self.unique_key!r} before job {self.id} {what}, found job "
                f"{twin}, which has not started"
            )

    def _move(self, requested: JobStatus, commit: bool, kind: str | None, **values: Any) -> None:
        """Move to another status if the row still has the one that this object shows.

        Args:
            requested: the status.
            commit: whether to commit.
            kind: the word for the job's history; None: no event, or one that the caller writes.
            values: of the row.

        Raises:
            InvalidTransition: no such move, or the row was moved by somebody else meanwhile.
        """
        session = self._session()
        session.flush()
        current = self.status
        if requested not in MOVES[current]:
            raise InvalidTransition(current, requested)
        moved = session.execute(
            update(Job)
            .where(Job.id == self.id, Job._status == current)
            .values(_status=requested, **values)
            .execution_options(synchronize_session=False)
            .returning(Job.id)
        ).all()
        session.refresh(self)
        if not moved:
            raise InvalidTransition(self.status, requested)
        if kind is not None:
            self._note(kind, f"was {current.title}")
        if commit:
            session.commit()

    def _note(self, kind: str, detail: str) -> None:
        """Write what somebody does by hand to the job's history."""
        claim = Claim(self.id, self.lease_token)
        record(jobs_connection(self._session()), claim, kind, detail, actor=operator_name())

    def _session(self) -> Session:
        session = object_session(self)
        if session is None:
            raise NoSession(f"expected {self!r} to be in a session, found it in none")
        return session


START_ORDER = (Job.priority, Job.scheduled_start, Job.id)
"""The order in which ready jobs start."""


def worker_name() -> str:
    """Return who claims: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


def operator_name() -> str:
    """Return who acts by hand, for the audit trail: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def has_status(*statuses: JobStatus) -> ColumnElement[bool]:
    """Return the condition that a job has one of these statuses.

    They are literals, and where an index names several in the same order: SQLite would use no partial index for
    parameters, and read all jobs.
    """
    if len(statuses) == 1:
        return Job._status == literal(statuses[0], StatusType, literal_execute=True)
    return Job._status.in_(bindparam(None, statuses, StatusType, expanding=True, literal_execute=True))


def is_ready() -> ColumnElement[bool]:
    """Return the condition that a job is waiting, due, not expired and not leased, by the database's clock."""
    now = database_now()
    return and_(
        has_status(W),
        Job.scheduled_start <= now,
        or_(Job.lease_expires.is_(None), Job.lease_expires <= now),
        or_(Job.expires_at.is_(None), Job.expires_at > now),
    )


def twin_of(connection: Connection, job_id: int) -> int | None:
    """Return the number of another job that has not started and has the same unique key, or None."""
    mine = aliased(Job)
    twin = select(Job.id).where(
        mine.id == job_id,
        Job.type_id == mine.type_id,
        Job.unique_key == mine.unique_key,
        has_status(*NOT_STARTED),
        Job.id != job_id,
    )
    return connection.scalar(twin)
