"""One attempt at one job: its facts, its clock, the state of its commit."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID, uuid4

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from jobcron.database.database import TransactionSource
from jobcron.database.statements import execute
from jobcron.database.trouble import interruption_of
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim, lost
from jobcron.queue.error_rules import Counts
from jobcron.queue.finish import still_ours
from jobcron.queue.loading import Claimed
from jobcron.queue.views import RunnableView
from jobcron.runner._clock import Clock
from jobcron.runner._fence import check_fence

COPY_STATUS = 70
"""The exit status of a forked copy of a runner: EX_SOFTWARE of sysexits.h."""


@dataclass(frozen=True)
class Facts:
    """The constant facts of an attempt, as plain values: a rollback empties the row.

    Attributes:
        claim: the job's number and our lease token.
        uuid: the job's UUID.
        class_name: the name of the job's class.
        waited: how many seconds the job was ready before it was claimed; None: unknown.
        lease_seconds: how long each renewal lasts.
        process: the id of the process that made the attempt.
    """

    claim: Claim
    uuid: UUID
    class_name: str
    waited: float | None
    lease_seconds: float
    process: int

    @property
    def name(self) -> str:
        """The job's name in logs."""
        return f"{self.class_name} (ID {self.claim.id})"


class Commit(Enum):
    """The state of the COMMIT of a job's work."""

    NOT_TRIED = auto()
    UNDER_WAY = auto()
    """The last statement, which was fenced itself, is done: this COMMIT passes no fence."""
    TRIED = auto()
    """The COMMIT returned or raised; now the row is decisive. Any later COMMIT passes the fence again."""
    WRITTEN = auto()
    """The job's outcome is in the database."""


class Attempt:
    """A running job.

    Args:
        claimed: the job, claimed and loaded.
        session: the session in which the job works.
        lease_seconds: how long each renewal lasts.
        time_limit: how many seconds the job may run, or None.
        must_stop: returns whether the run was asked to stop.

    Attributes:
        facts, clock, commit: see the classes.
        job: the job to run.
        session: the session in which the job works.
        counts: the counts of attempts when this one began.
        must_stop: returns whether the run was asked to stop, for a job that can stop at intervals.
        trouble: the error with which the database first interrupted the open transaction, or None.
        statements: the statements that the job sent before it failed.
    """

    def __init__(
        self,
        claimed: Claimed,
        session: Session,
        lease_seconds: float,
        time_limit: float | None = None,
        must_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        claim, self.job = claimed.claim, claimed.job
        row = self.job.row
        self.counts = Counts() if row is None else Counts(row.attempt_count, row.crash_count, row.max_retries)
        waited = None if row is None or self.counts.crashes else _waited(row)
        uuid = uuid4() if row is None else row.uuid
        self.facts = Facts(claim, uuid, self.job.class_name, waited, lease_seconds, os.getpid())
        self.clock = Clock(claim.taken, lease_seconds, time_limit)
        self.commit = Commit.NOT_TRIED
        self.session = session
        self.must_stop = must_stop
        self.trouble: BaseException | None = None
        self.statements: list[tuple[int, int, str, str]] = []
        self._connection: Connection | None = None

    @property
    def claim(self) -> Claim:
        """The job's number and our lease token."""
        return self.facts.claim

    @property
    def name(self) -> str:
        """The job's name in logs."""
        return self.facts.name

    @property
    def token(self) -> int:
        """The fencing token: each claim of a job has a greater one."""
        return self.claim.token

    @property
    def progress(self) -> int | None:
        """Per cent done, as set by the job."""
        return self.clock.progress

    @property
    def interrupted(self) -> BaseException | None:
        """The error that stopped the job, or None."""
        return self.clock.interrupted

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of every fenced statement."""
        return {"id": self.claim.id, "token": self.claim.token, "progress": self.clock.progress}

    # Actions of the job.

    def run(self) -> None:
        """Run the job.

        If the job forks this process by ``os.fork`` and the copy returns from ``run``, the copy exits at once:
        it shares our connection, and would commit the job a second time.
        """
        try:
            self.job.run()
        finally:
            if os.getpid() != self.facts.process:
                os._exit(COPY_STATUS)

    def note_progress(self, percent: int | None) -> None:
        """Record the job's progress; the keeper writes it."""
        self.clock.progress = percent

    def start_counts_afresh(self) -> None:
        """Count attempts from here on: the work that the job has committed so far is not repeated."""
        self.counts = Counts(max_retries=self.counts.max_retries)

    def checkpoint(self) -> None:
        """Commit the work so far, if the job is still ours, and renew the lease in the same transaction.

        Raises:
            LeaseLost: the job is no longer ours; nothing was committed.
        """
        self.session.flush()
        # The fence first: it waits for a lock on the row, such as the keeper's, while a renewal would skip the
        # row.
        check_fence(self.session.connection(), self)
        if not _renew(self.session.connection(), self):
            raise lost(self.claim)
        self.session.commit()
        self.clock.renewed()

    # Events of the attempt.

    def transaction_began(self, connection: Connection) -> None:
        """Record the connection of the job's transaction."""
        self._connection, self.trouble = connection, None

    def transaction_failed(self, connection: Connection | None, error: BaseException) -> None:
        """Record the first trouble of the database in the job's transaction."""
        if connection is self._connection and self.trouble is None and interruption_of(error) is not None:
            self.trouble = error

    def needs_fence(self, connection: Connection) -> bool:
        """Return whether a COMMIT on this connection commits the job's work and is not yet fenced."""
        return self.commit is not Commit.UNDER_WAY and self._connection is connection

    def commit_begins(self) -> None:
        """Record that the COMMIT of the job's work follows; its last statement was fenced."""
        self.commit = Commit.UNDER_WAY

    def commit_returned(self) -> None:
        """Record that the COMMIT is over, whatever its result."""
        if self.commit is Commit.UNDER_WAY:
            self.commit = Commit.TRIED

    def outcome_is_written(self) -> None:
        """Record that the job's outcome is in the database."""
        self.commit = Commit.WRITTEN

    def failed(self, statements: list[tuple[int, int, str, str]]) -> None:
        """Record the statements that the job sent before it failed."""
        self.statements = statements

    def loaded_again(self, job: RunnableView, session: Session) -> None:
        """Use these objects after the job's end, in place of its own, which are gone."""
        self.job, self.session = job, session

    def cancel_statement(self) -> None:
        """Cancel the statement that the job is waiting for, if any; called by the keeper, from its own thread.

        A signal reaches Python code only when the database driver returns.
        """
        driver = None
        with suppress(Exception):  # no connection yet or any more: then there is nothing to cancel
            assert self._connection is not None
            driver = self._connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.interrupt()
        elif driver is not None:
            driver.cancel()


def renew(database: TransactionSource, attempt: Attempt) -> bool:
    """Renew the lease of a running job and write its progress; return False if the job is no longer ours.

    Args:
        database: with a connection that waits only briefly for locks.
        attempt: its clock notes when the next renewal is due.

    Raises:
        DBAPIError, DatabaseUnavailable: the renewal failed; it is retried soon.
    """
    attempt.clock.renewed()
    try:
        with database.begin() as connection:
            if _renew(connection, attempt):
                return True
        if not still_ours(database, attempt.claim):
            return False
    except Exception:
        attempt.clock.renewal_failed()
        raise
    attempt.clock.renewal_failed()  # locked by the job's own transaction: no other runner can take it over
    return True


def _renew(connection: Connection, attempt: Attempt) -> bool:
    parameters = {**attempt.parameters, "lease_seconds": attempt.facts.lease_seconds}
    return execute(connection, "renew", parameters).rowcount == 1


def _waited(row: Job) -> float | None:
    """Return how many seconds a job was ready, by the database's clock."""
    if row.date_started is None:
        return None
    return max(0.0, (row.date_started - max(row.date_created, row.scheduled_start)).total_seconds())
