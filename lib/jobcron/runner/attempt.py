"""One attempt at one job: its facts, its clock, the state of its commit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from jobcron.database.database import TransactionSource
from jobcron.database.statements import execute
from jobcron.database.trouble import interruption_of
from jobcron.errors import DatabaseUnavailable, InvalidTransition
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import stored_steps
from jobcron.jobs.lease import Claim, lost
from jobcron.jobs.status import OwnMove
from jobcron.queue.error_rules import Counts
from jobcron.queue.finish import state_of
from jobcron.queue.loading import Claimed
from jobcron.queue.views import RunnableView
from jobcron.runner._backlog import Backlog
from jobcron.runner._clock import Clock, Facts, known_of
from jobcron.runner._fence import Commit

COPY_STATUS = 70
"""The exit status of a forked copy of a runner: EX_SOFTWARE of sysexits.h."""


class Attempt:
    """A running job.

    Args:
        claimed: the job, claimed and loaded.
        session: the session in which the job works.
        lease_seconds: how long each renewal lasts.
        time_limit: how many seconds the job may run, or None.
        must_stop: returns whether the run was asked to stop, for a job that can stop at intervals.
        backlog: the jobs that the run starts after this one.

    Attributes:
        facts, clock, commit, job, session, must_stop: see the arguments and the classes.
        counts: the counts of attempts when this one began.
        is_bare: whether the job's row is known to name nothing that code may lack.
        trouble: the error with which the database first interrupted the open transaction, or None.
        statements: the statements that the job sent before it failed.
        has_renewal: whether the keeper may have written a renewal.
        is_deleted: whether the job deleted its own row.
        told: the variables that the job told for a report, once it was asked at its end.
        own_move: the move that the job has asked for itself, or None.
        status_elsewhere: returns the status of a job of ours as other transactions see it.
    """

    def __init__(
        self,
        claimed: Claimed,
        session: Session,
        lease_seconds: float,
        time_limit: float | None = None,
        must_stop: Callable[[], bool] = lambda: False,
        backlog: Backlog | None = None,
    ) -> None:
        claim, self.job = claimed.claim, claimed.job
        self.counts, uuid, waited = known_of(claimed)
        self.facts = Facts(claim, uuid, self.job.class_name, waited, lease_seconds, os.getpid())
        self.is_bare = bool(claimed.facts and claimed.facts.is_bare)
        self.clock = Clock(claim.taken, lease_seconds, time_limit)
        self.commit = Commit.NOT_TRIED
        self.session = session
        self.must_stop = must_stop
        self.backlog = Backlog() if backlog is None else backlog
        self.trouble: BaseException | None = None
        self.statements: list[tuple[int, int, str, str]] = []
        self.has_renewal = False
        self.is_deleted = False
        self.told: list[tuple[str, object]] | None = None
        self.own_move: OwnMove | None = None
        self._has_failed = False
        self._steps: Callable[[bool], dict[str, object]] | None = None
        self._is_fenced = False  # whether the last statement before the next COMMIT holds the row
        self.status_elsewhere: Callable[[Claim], JobStatus | None] = lambda claim: None
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
    def has_moved(self) -> bool:
        """Whether the job has asked for another status than COMPLETED."""
        return self.own_move is not None

    @property
    def end_status(self) -> JobStatus:
        """The status of the job if its work is committed: the one that it asked for."""
        return JobStatus.COMPLETED if self.own_move is None else self.own_move.status

    @property
    def parameters(self) -> Mapping[str, int | None]:
        """The parameters of every fenced statement."""
        return {"id": self.claim.id, "token": self.claim.token, "progress": self.clock.progress}

    @property
    def ends_plainly(self) -> bool:
        """Whether only the status COMPLETED has to be written at the job's end."""
        return self.own_move is None and self._steps is None

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

    def end_as(self, move: OwnMove) -> None:
        """Note the status in which the job asks to end; the last request counts. Requests of hooks are refused."""
        if self._has_failed:
            raise InvalidTransition(JobStatus.FAILED, move.status)
        self.own_move = move

    def note_progress(self, percent: int | None) -> None:
        """Record the job's progress; the keeper writes it."""
        self.clock.progress = percent

    def checkpoint(self) -> None:
        """Commit the work so far, if this attempt still holds the job, and renew the lease along with it.

        Raises:
            LeaseLost: the job is no longer ours; nothing was committed.
        """
        self._commit_so_far(is_task=False)

    def end_task(self) -> None:
        """Commit a task that is done, as `checkpoint` does, and reset the counts of attempts for the next task."""
        self._commit_so_far(is_task=True)
        self.counts = Counts(max_retries=self.counts.max_retries)

    def keep_steps(self, steps: Callable[[bool], dict[str, object]]) -> None:
        """Store the progress and the workspace of a job of several tasks with the fence of the next commit.

        Args:
            steps: returns it, as it is then; its argument says whether that is the end of the task, or of the job.
        """
        self._steps = steps

    def _commit_so_far(self, *, is_task: bool) -> None:
        self.session.flush()
        connection = self.session.connection()
        parameters = {
            **self.parameters,
            "lease_seconds": self.facts.lease_seconds,
            "is_task": int(is_task),
            "steps": self.steps(connection, is_end=is_task),
        }
        is_ours = execute(connection, "checkpoint", parameters).rowcount == 1
        if not is_ours and not self.has_deleted_its_row(connection):
            raise lost(self.claim)
        self._is_fenced = True
        self.session.commit()
        self.clock.renewed()

    def steps(self, connection: Connection, *, is_end: bool) -> object:
        """Return the values of `keep_steps` as a parameter, and set them in the row's object; None: no values."""
        if self._steps is None:
            return None
        steps = self._steps(is_end)
        if is_end:
            self._steps = None
        set_committed_value(self.job.row, "steps", MutableDict.coerce("steps", steps))
        return stored_steps(steps, connection.dialect)

    # Events of the attempt.

    def transaction_began(self, connection: Connection) -> None:
        """Record the connection of the job's transaction."""
        self._connection, self.trouble, self._is_fenced = connection, None, False

    def transaction_failed(self, connection: Connection | None, error: BaseException) -> None:
        """Record the first trouble of the database in the job's transaction."""
        if connection is self._connection and self.trouble is None and interruption_of(error) is not None:
            self.trouble = error

    def needs_fence(self, connection: Connection) -> bool:
        """Return whether a COMMIT on this connection commits the job's work and is not yet fenced."""
        if self.commit is Commit.UNDER_WAY or self._connection is not connection:
            return False
        is_fenced, self._is_fenced = self._is_fenced, False
        return not is_fenced

    def has_deleted_its_row(self, connection: Connection) -> bool:
        """Return whether the job deleted its own row, in its open transaction or in an earlier one.

        For other transactions the row is RUNNING under our token until the deletion is committed.
        """
        if state_of(connection, self.claim) is not None:
            return False
        self.is_deleted = self.is_deleted or self.status_elsewhere(self.claim) is JobStatus.RUNNING
        return self.is_deleted

    def commit_begins(self) -> None:
        """Record that the COMMIT of the job's work follows; its last statement was fenced."""
        self.commit = Commit.UNDER_WAY

    def commit_returned(self) -> None:
        """Record that the COMMIT is over, whatever its result."""
        if self.commit is Commit.UNDER_WAY:
            self.commit = Commit.TRIED

    def nothing_was_committed(self) -> None:
        """Record that the COMMIT certainly did nothing, so that another one may be tried."""
        self.commit = Commit.NOT_TRIED

    def outcome_is_written(self) -> None:
        """Record that the job's outcome is in the database."""
        self.commit = Commit.WRITTEN

    def failed(self, statements: list[tuple[int, int, str, str]]) -> None:
        """Record that the job failed, and the statements that it sent before."""
        self._has_failed, self._steps = True, None
        self.statements = statements

    def loaded_again(self, job: RunnableView, session: Session) -> None:
        """Use these objects after the job's end, instead of the job's own, which no longer exist."""
        self.job, self.session = job, session
        job.attach(self)

    @property
    def driver(self) -> object:
        """The driver's connection of the job's transaction; None if there is none yet or it is gone."""
        with suppress(Exception):
            assert self._connection is not None
            return self._connection.connection.driver_connection
        return None


def renew(database: TransactionSource, attempt: Attempt) -> bool:
    """Renew the lease of a running job and write its progress; return False if this attempt has lost the job.

    Args:
        database: with a connection that waits only briefly for locks.
        attempt: its clock notes when the next renewal is due.

    Raises:
        DBAPIError, DatabaseUnavailable: the renewal failed; it is retried soon.
    """
    attempt.clock.renewed()
    if attempt.is_deleted:
        return True  # nobody else can have it
    try:
        with database.begin() as connection:
            parameters = {**attempt.parameters, "lease_seconds": attempt.facts.lease_seconds}
            is_ours = execute(connection, "renew", parameters).rowcount == 1
    except Exception:
        attempt.clock.renewal_failed()
        raise
    attempt.has_renewal = True
    return is_ours


def forget_renewal(database: TransactionSource, attempt: Attempt) -> None:
    """Delete what `renew` wrote for an attempt that has ended; a row that stays behind is harmless."""
    if attempt.has_renewal:
        attempt.has_renewal = False
        with suppress(DBAPIError, DatabaseUnavailable), database.begin() as connection:
            execute(connection, "forget_renewal", attempt.parameters)
