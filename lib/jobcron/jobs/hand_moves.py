"""Change a job's status by hand: the legal moves for people and code.

The runner uses none of these: it has its own statements to claim and finish jobs (`jobcron.queue`). To move many
jobs at once, use `moves.bulk_moves`. If a running job moves itself, the move is noted, and written when it ends.
"""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Integer, bindparam, case, func, select, update
from sqlalchemy.orm import Session, object_session
from sqlalchemy.sql.dml import Update

from jobcron.database.clock import database_after, database_now
from jobcron.database.sessions import ATTEMPT
from jobcron.database.tables import Renewal, jobs_connection
from jobcron.database.transactions import begin_writing
from jobcron.errors import DuplicateJob, InvalidTransition, LeaseHeld, NoSession
from jobcron.interfaces import DEFAULT_LEASE_SECONDS, MAX_LEASE_SECONDS, JobStatus
from jobcron.jobs.history import EventKind, record
from jobcron.jobs.lease import Claim, worker_name
from jobcron.jobs.status import (
    ENDED,
    MOVES,
    PROGRESS,
    Movable,
    OwnMove,
    Written,
    back_to_waiting,
    counts_before,
    ended,
    status_before,
    status_to_write,
    suspended,
)
from jobcron.settings.durations import Duration, seconds_of

if TYPE_CHECKING:
    from sqlalchemy.ext.hybrid import hybrid_property
    from sqlalchemy.orm import Mapped


PAUSE_SECONDS = 1.0
"""A job that puts itself back does not run again before that: else a run would do nothing else."""


class HandMoves:
    """Adds to the mapped row of a job the methods that move the job by hand."""

    if TYPE_CHECKING:  # columns of the row that this mixin is part of
        id: Mapped[int]
        _status: Mapped[JobStatus]

        @property
        def status(self) -> JobStatus: ...

        lease_expires: Mapped[datetime | None]
        lease_token: Mapped[int]
        begun_token: Mapped[int]
        attempt_count: Mapped[int]
        crash_count: Mapped[int]
        progress: hybrid_property[int | None]
        unique_key: Mapped[str | None]

        def _twin(self) -> int | None: ...

        def _leased_until(self) -> datetime | None: ...

        @staticmethod
        def _cancellation() -> Written: ...

        @staticmethod
        def _is_unleased() -> ColumnElement[bool]: ...

    def acquireLease(self, duration: Duration = DEFAULT_LEASE_SECONDS) -> None:
        """Take the lease for `duration`; until the lease ends, runners skip the job if it is waiting.

        Args:
            duration: a timedelta or a number of seconds; with a negative one the lease has expired already.

        Raises:
            InvalidDuration: the duration is neither a timedelta nor a number, or is longer than ten years.
            LeaseHeld: the lease is held.
            ValueError: the duration is longer than a lease may be.
        """
        seconds = seconds_of("duration of a lease", duration, allows_past=True)
        if not seconds <= MAX_LEASE_SECONDS:
            raise ValueError(f"expected a lease of at most {MAX_LEASE_SECONDS:.0f} seconds, got {duration}")
        row, session = type(self), self._session()
        session.flush()
        # why: decisions 2026-11-24, `acquireLease` is an ORM statement, one: a second caller sees the lease
        taken = session.execute(
            update(row)
            .where(row.id == self.id, self._is_unleased())
            .values(lease_expires=database_after(seconds))
            .execution_options(synchronize_session=False)
            .returning(row.id)
        ).all()
        session.refresh(self)
        if not taken:
            raise LeaseHeld

    def endLease(self) -> None:
        """End the lease now, whoever holds it and however long it lasts.

        A waiting job is ready again. A running job is taken over by the next run, unless its process is alive and
        renews the lease before that.
        """
        row, session = type(self), self._session()
        session.flush()
        until = self._leased_until()
        # A lease on the row that lasts for years would hide renewals: the later one counts.
        over = case((row._status == JobStatus.RUNNING, database_now()), else_=None)
        options = {"synchronize_session": False}
        renewed = update(Renewal).where(Renewal.job_id == self.id, Renewal.lease_token == self.lease_token)
        session.execute(renewed.values(lease_expires=database_now()), execution_options=options)
        leased = update(row).where(row.id == self.id, row.lease_expires.is_not(None))
        session.execute(leased.values(lease_expires=over), execution_options=options)
        session.refresh(self)
        self._note(EventKind.LEASE_ENDED, f"was until {until}")

    def getTimeout(self) -> int:
        """Return how many whole seconds of the lease are left; 0 if it has expired or is not held."""
        until = None if self.lease_expires is None else self._leased_until()
        if until is None:
            return 0
        now = self._session().scalar(select(database_now())) or datetime.now(UTC)
        return max(0, int((until - now).total_seconds()))

    def start(self, manage_transaction: bool = False) -> None:
        """Move to RUNNING and begin an attempt; if the lease is not held, take it for five minutes."""
        if self.getTimeout() == 0:
            self.acquireLease()
        self._move(
            JobStatus.RUNNING,
            manage_transaction,
            None,
            {
                "date_started": database_now(),
                "date_finished": None,
                "attempt_count": type(self).attempt_count + 1,
                "lease_token": type(self).lease_token + 1,
                "begun_token": type(self).lease_token + 1,
                "claimed_by": worker_name(),
            },
        )

    def complete(self, manage_transaction: bool = False) -> None:
        """Move to COMPLETED."""
        self._move(JobStatus.COMPLETED, manage_transaction, EventKind.COMPLETED, ended())

    def fail(self, manage_transaction: bool = False) -> None:
        """Move to FAILED; with `manage_transaction`, first roll back the session's work, and commit the move."""
        if manage_transaction:
            self._session().rollback()
        self._move(JobStatus.FAILED, manage_transaction, EventKind.FAILED, ended())

    def queue(self, manage_transaction: bool = False, abort_transaction: bool = False) -> None:
        """Move back to WAITING, with the counts at 0 and without an expiry; a waiting job stays as it is.

        An ended job whose predecessors are not done moves to BLOCKED. With `manage_transaction`, commit, even if
        nothing was moved, as in Launchpad; with `abort_transaction`, first roll back the session's work.

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
            DuplicateJob: another job with this unique key was created while this one ran, and has not started.
        """
        if self.status is JobStatus.RUNNING:
            self._refuse_twin("is suspended")
        self._move(JobStatus.SUSPENDED, manage_transaction, EventKind.SUSPENDED, suspended())

    def resume(self) -> None:
        """Move from SUSPENDED back to WAITING, with the counts at 0.

        Raises:
            InvalidTransition: the job is not suspended.
        """
        if self.status is not JobStatus.SUSPENDED:
            raise InvalidTransition(self.status, JobStatus.WAITING)
        self._requeue(EventKind.RESUMED, manage_transaction=False)

    def cancel(self, manage_transaction: bool = False) -> None:
        """Move to CANCELLED; a runner that runs the job can no longer commit its work."""
        self._move(JobStatus.CANCELLED, manage_transaction, EventKind.CANCELLED, self._cancellation())

    def _requeue(self, kind: EventKind, manage_transaction: bool) -> None:
        self._refuse_twin("waits again")
        detail = counts_before(self.attempt_count, self.crash_count)
        self._move(JobStatus.WAITING, manage_transaction, kind, back_to_waiting(), detail)

    def _refuse_twin(self, what: str) -> None:
        if self.unique_key is None or self._own_attempt() is not None:
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

    def _move(
        self, requested: JobStatus, commit: bool, kind: EventKind | None, values: Written, detail: str = ""
    ) -> None:
        """Move to another status if the row still has the status that this object shows.

        Args:
            requested: the new status.
            commit: whether to commit.
            kind: the kind of the event in the job's history; None: no event.
            values: other values of the row to set.
            detail: what the event says; by default the status before.

        Raises:
            InvalidTransition: the move is not legal, or somebody else moved the row meanwhile.
        """
        row, session = type(self), self._session()
        session.flush()
        current = self.status
        if requested not in MOVES[current]:
            raise InvalidTransition(current, requested)
        detail = detail or status_before(current, self.begun_token > 0)
        attempt = self._own_attempt()
        if attempt is not None and kind is not None:
            attempt.end_as(OwnMove(requested, kind, detail, self._at_its_end(attempt.claim, requested, values)))
            if commit:
                session.commit()
            return
        status = status_to_write(session, self.id, current, requested)
        if current is JobStatus.RUNNING:
            values = {"_progress": row.progress, **values}  # what the keeper wrote elsewhere
        moved = session.execute(
            update(row)
            .where(row.id == self.id, row._status == current)
            .values(_status=status, **values)
            .execution_options(synchronize_session=False)
            .returning(row.id)
        ).all()
        session.refresh(self)
        if not moved:
            raise InvalidTransition(self.status, requested)
        if kind is not None:
            self._note(kind, detail)
        if commit:
            session.commit()

    def _own_attempt(self) -> Movable | None:
        """Return the attempt if this is the row of the job that runs in its session."""
        attempt: Movable | None = self._session().info.get(ATTEMPT)
        return attempt if attempt is not None and attempt.claim.id == self.id else None

    def _at_its_end(self, claim: Claim, requested: JobStatus, values: Written) -> Update:
        row = type(self)
        values = {"_progress": func.coalesce(bindparam(PROGRESS, type_=Integer), row.progress), **values}
        values |= {"_status": requested, "begun_token": row.lease_token}
        if requested in ENDED:
            values |= {"has_committed": False, "lease_expires": None}  # it knows what it leaves
        if requested is JobStatus.WAITING:
            values |= {"scheduled_start": database_after(PAUSE_SECONDS)}
        ours = (row.id == claim.id, row._status == JobStatus.RUNNING, row.lease_token == claim.token)
        return update(row).where(*ours).values({getattr(row, name): value for name, value in values.items()})

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
