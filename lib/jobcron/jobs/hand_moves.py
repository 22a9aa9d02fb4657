"""Change a job's status by hand: the legal moves for people and code.

The runner uses none of these: it has its own statements to claim and finish jobs (`jobcron.queue`).
"""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, object_session

from jobcron.database.clock import database_after, database_now
from jobcron.database.tables import jobs_connection
from jobcron.database.transactions import begin_writing
from jobcron.errors import DuplicateJob, InvalidTransition, LeaseHeld, NoSession
from jobcron.interfaces import DEFAULT_LEASE_SECONDS, JobStatus
from jobcron.jobs.history import EventKind, record
from jobcron.jobs.lease import Claim
from jobcron.jobs.status import MOVES

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapped


class HandMoves:
    """Adds the moves by hand to the mapped row of a job."""

    if TYPE_CHECKING:  # columns of the row that this mixin is part of
        id: Mapped[int]
        _status: Mapped[JobStatus]
        status: Any
        lease_expires: Mapped[datetime | None]
        lease_token: Mapped[int]
        attempt_count: Mapped[int]
        crash_count: Mapped[int]
        unique_key: Mapped[str | None]

        def _twin(self) -> int | None: ...

    def acquireLease(self, duration: float = DEFAULT_LEASE_SECONDS) -> None:
        """Take the lease for `duration` seconds; runners skip a waiting job until it ends.

        Raises:
            LeaseHeld: the lease is held.
        """
        row, session = type(self), self._session()
        session.flush()
        # One statement: of two concurrent callers, the second sees the first one's lease.
        # why: decisions 2026-11-24, `acquireLease` is an ORM statement
        taken = session.execute(
            update(row)
            .where(row.id == self.id, or_(row.lease_expires.is_(None), row.lease_expires <= database_now()))
            .values(lease_expires=database_after(duration))
            .execution_options(synchronize_session=False)
            .returning(row.id)
        ).all()
        session.refresh(self)
        if not taken:
            raise LeaseHeld

    def getTimeout(self) -> int:
        """Return the seconds left of the lease, as a whole number; 0 if it expired or is not held."""
        if self.lease_expires is None:
            return 0
        now = self._session().scalar(select(database_now())) or datetime.now(UTC)
        return max(0, int((self.lease_expires - now).total_seconds()))

    def start(self, manage_transaction: bool = False) -> None:
        """Move to RUNNING and begin an attempt; take the lease for five minutes if it is not held."""
        if self.getTimeout() == 0:
            self.acquireLease()
        self._move(
            JobStatus.RUNNING,
            manage_transaction,
            None,
            date_started=database_now(),
            date_finished=None,
            attempt_count=type(self).attempt_count + 1,
            lease_token=type(self).lease_token + 1,
            claimed_by=worker_name(),
        )

    def complete(self, manage_transaction: bool = False) -> None:
        """Move to COMPLETED."""
        self._move(
            JobStatus.COMPLETED,
            manage_transaction,
            EventKind.COMPLETED,
            date_finished=database_now(),
            lease_expires=None,
        )

    def fail(self, manage_transaction: bool = False) -> None:
        """Move to FAILED; with `manage_transaction` roll back what the transaction did before."""
        if manage_transaction:
            self._session().rollback()
        self._move(
            JobStatus.FAILED,
            manage_transaction,
            EventKind.FAILED,
            date_finished=database_now(),
            lease_expires=None,
        )

    def queue(self, manage_transaction: bool = False, abort_transaction: bool = False) -> None:
        """Move back to WAITING with no attempts, crashes or expiry; a job that waits already stays as it is.

        With `manage_transaction` it is committed, even if there was nothing to move, as in Launchpad.

        Raises:
            DuplicateJob: another job with the same unique key has not started yet.
        """
        if abort_transaction:
            self._session().rollback()
        if self.status is not JobStatus.WAITING:
            self._requeue(EventKind.REQUEUED, manage_transaction)
        elif manage_transaction:
            self._session().commit()

    def suspend(self, manage_transaction: bool = False) -> None:
        """Move to SUSPENDED.

        Raises:
            DuplicateJob: it ran, and meanwhile another job with the same unique key was created that has not
                started.
        """
        if self.status is JobStatus.RUNNING:
            self._refuse_twin("is suspended")
        self._move(JobStatus.SUSPENDED, manage_transaction, EventKind.SUSPENDED, lease_expires=None)

    def resume(self) -> None:
        """Move from SUSPENDED back to WAITING, with its counts at 0.

        Raises:
            InvalidTransition: the job is not suspended.
        """
        if self.status is not JobStatus.SUSPENDED:
            raise InvalidTransition(self.status, JobStatus.WAITING)
        self._requeue(EventKind.RESUMED, manage_transaction=False)

    def cancel(self, manage_transaction: bool = False) -> None:
        """Move to CANCELLED; a runner that has the job can no longer commit it."""
        counted = type(self).attempt_count - (1 if self.status is JobStatus.RUNNING else 0)
        self._move(
            JobStatus.CANCELLED,
            manage_transaction,
            EventKind.CANCELLED,
            date_finished=database_now(),
            lease_expires=None,
            attempt_count=counted,
        )

    def _requeue(self, kind: EventKind, manage_transaction: bool) -> None:
        session = self._session()
        self._refuse_twin("waits again")
        detail = f"attempt_count was {self.attempt_count}, crash_count was {self.crash_count}"
        self._move(
            JobStatus.WAITING,
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
        begin_writing(session)
        session.flush()
        twin = self._twin()
        if twin is not None:
            raise DuplicateJob(
                f"expected no other job with the key {self.unique_key!r} before job {self.id} {what}, found job "
                f"{twin}, which has not started"
            )

    def _move(self, requested: JobStatus, commit: bool, kind: EventKind | None, **values: Any) -> None:
        """Move to another status if the row still has the status that this object shows.

        Args:
            requested: the new status.
            commit: whether to commit.
            kind: the kind of the event in the job's history; None: no event, or the caller writes it.
            values: other values of the row to set.

        Raises:
            InvalidTransition: the move is not legal, or somebody else moved the row meanwhile.
        """
        row, session = type(self), self._session()
        session.flush()
        current = self.status
        if requested not in MOVES[current]:
            raise InvalidTransition(current, requested)
        moved = session.execute(
            update(row)
            .where(row.id == self.id, row._status == current)
            .values(_status=requested, **values)
            .execution_options(synchronize_session=False)
            .returning(row.id)
        ).all()
        session.refresh(self)
        if not moved:
            raise InvalidTransition(self.status, requested)
        if kind is not None:
            self._note(kind, f"was {current.title}")
        if commit:
            session.commit()

    def _note(self, kind: EventKind, detail: str) -> None:
        """Write an event about a change by hand to the job's history."""
        claim = Claim(self.id, self.lease_token)
        record(jobs_connection(self._session()), claim, kind, detail, actor=operator_name())

    def _session(self) -> Session:
        session = object_session(self)
        if session is None:
            raise NoSession(f"expected {self!r} to be in a session, found it in none")
        return session


def operator_name() -> str:
    """Return the name of the person who acts by hand, for the audit trail: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def worker_name() -> str:
    """Return the name of the process that claims: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"
