"""The rows of runs whose jobs share transactions.

When a process dies, its row locks vanish without a trace. So a run commits a row before its first group, and
deletes it at its end. A row whose lease has expired belongs to a run that died. A run that finds it runs jobs one
by one for a while, under leases of their own, so that a job that kills its process can be recognised.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Text, and_, delete, insert, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from jobcron.database.clock import UtcDateTime, database_after, database_now
from jobcron.database.database import TransactionSource
from jobcron.database.tables import Base, JobTypeRow
from jobcron.jobs.job import Job

LEASE_SECONDS = 30.0
"""How long a run may say nothing until it counts as dead. Between two groups it says something."""


class GroupRunRow(Base):
    """A run whose jobs share transactions, while it lasts."""

    __tablename__ = "jobcron_group_run"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    type_id: Mapped[int] = mapped_column("type")
    claimed_by: Mapped[str] = mapped_column(Text)
    started: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_expires: Mapped[datetime] = mapped_column(UtcDateTime)


class LiveRun(NamedTuple):
    """A live run whose jobs share transactions, as its row says.

    Attributes:
        type: the name of the type of its jobs.
        name: the name under which it claims.
        started: when it began to.
        lease_expires: until when it counts as alive.
        is_over: whether that is past.
    """

    type: str
    name: str
    started: datetime
    lease_expires: datetime
    is_over: bool


def group_runs(connection: Connection) -> list[LiveRun]:
    """Return the runs whose jobs share transactions, including dead ones that no other run has found yet."""
    is_over = GroupRunRow.lease_expires <= database_now()
    columns = (JobTypeRow.name, GroupRunRow.claimed_by, GroupRunRow.started, GroupRunRow.lease_expires, is_over)
    query = select(*columns).join(JobTypeRow, JobTypeRow.id == GroupRunRow.type_id).order_by(GroupRunRow.started)
    return [LiveRun(*row) for row in connection.execute(query)]


def group_runs_of(connection: Connection, job_id: int) -> tuple[str, ...]:
    """Return the names of the live runs that run jobs of a job's type in groups."""
    of_type = select(Job.type_id).where(Job.id == job_id).scalar_subquery()
    is_live = GroupRunRow.lease_expires > database_now()
    names = select(GroupRunRow.claimed_by).where(GroupRunRow.type_id == of_type, is_live)
    return tuple(connection.scalars(names.distinct().order_by(GroupRunRow.claimed_by)))


class GroupRun:
    """The row of this run.

    Args:
        database: the database of the jobs.
        type_id: the type of the jobs.
        name: the name under which the run claims.
        gone: the names of runs that are known to be over.
    """

    def __init__(self, database: TransactionSource, type_id: int, name: str, gone: tuple[str, ...]) -> None:
        self._database = database
        self._type_id, self._name, self._gone = type_id, name, gone
        self._id = uuid4().hex
        self._renew_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the row is to be written, or renewed."""
        return time.monotonic() >= self._renew_at

    def sign(self) -> bool:
        """Write or renew this run's row; return whether an earlier or concurrent run has died.

        Raises:
            DBAPIError, DatabaseUnavailable: it could not be written.
        """
        now = time.monotonic()
        with self._database.begin() as connection:
            dead = connection.execute(delete(GroupRunRow).where(self._is_dead())).rowcount
            self._write(connection)
        self._renew_at = now + LEASE_SECONDS / 3
        return dead > 0

    def end(self) -> None:
        """Delete the row; `sign` writes it again.

        Raises:
            DBAPIError, DatabaseUnavailable: it could not be; the next run is careful for a while.
        """
        if self._renew_at:
            with self._database.begin() as connection:
                connection.execute(delete(GroupRunRow).where(GroupRunRow.id == self._id))
            self._renew_at = 0.0

    def _is_dead(self) -> ColumnElement[bool]:
        is_over = or_(GroupRunRow.lease_expires <= database_now(), GroupRunRow.claimed_by.in_(self._gone))
        return and_(GroupRunRow.type_id == self._type_id, GroupRunRow.id != self._id, is_over)

    def _write(self, connection: Connection) -> None:
        lease = {"lease_expires": database_after(LEASE_SECONDS)}
        if connection.execute(update(GroupRunRow).where(GroupRunRow.id == self._id).values(lease)).rowcount:
            return
        values = {"id": self._id, "type_id": self._type_id, "claimed_by": self._name, "started": database_now()}
        connection.execute(insert(GroupRunRow).values({**values, **lease}))
