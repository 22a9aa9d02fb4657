"""One group of jobs: their rows are locked, they run, and one UPDATE completes them, all in one transaction."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jobcron.database.connecting.engine import leave
from jobcron.database.connecting.sharing import Shared
from jobcron.database.sessions import ATTEMPT, OwnedSession, working_in
from jobcron.database.statements import end_if_stopped
from jobcron.database.trouble import is_lost
from jobcron.errors import LeavesGroup
from jobcron.jobs.lease import Claim
from jobcron.queue.claim import Claimant
from jobcron.queue.error_rules import members_of
from jobcron.queue.loading import Claimed
from jobcron.queue.views import RunnableView
from jobcron.reports.current_job import CurrentJob, working_on
from jobcron.runner._context import RunContext
from jobcron.runner._executor import RAISED_ANYWHERE
from jobcron.runner.attempt import COPY_STATUS, Attempt
from jobcron.runner.grouped import _pace
from jobcron.runner.grouped._attempt import GroupedAttempt
from jobcron.runner.grouped._checks import UnchangedConnection, check_job, check_session, check_transaction
from jobcron.runner.grouped._claims import Locked, Taken, complete_group, is_committed, take_group
from jobcron.runner.grouped._objects import GroupObjects
from jobcron.runner.grouped._sessions import GroupSessions, Members, is_untouched
from jobcron.runner.source_runner import Guard
from jobcron.runner.surroundings.boundary import Surroundings, in_own_context

JOB_SECONDS = 1.0
"""How long a job of a group may take; one that takes longer is interrupted, and runs by itself under a lease."""


class GroupWork(NamedTuple):
    """The objects that the groups of a run use.

    Attributes:
        context: the working context of the run.
        guard: accompanies the jobs.
        surroundings: of the jobs.
        claimant: who claims.
        must_stop: returns whether the run was asked to stop.
    """

    context: RunContext
    guard: Guard
    surroundings: Surroundings
    claimant: Claimant
    must_stop: Callable[[], bool]


class EndedJob(NamedTuple):
    """A completed job.

    Attributes:
        claim: its number, and the token of the attempt.
        class_name: the name of its class.
        waited: how many seconds it was ready.
        seconds: how long it took.
    """

    claim: Claim
    class_name: str
    waited: float
    seconds: float


class Result(NamedTuple):
    """The result of running a group.

    Attributes:
        ended: the jobs that it has completed.
        is_cut: whether its time was over before it had run all that it had locked.
        error: why it was rolled back; None: it was not.
        begun: how many of its jobs had begun.
    """

    ended: list[EndedJob]
    is_cut: bool = False
    error: BaseException | None = None
    begun: int = 0


class Group:
    """One group of jobs.

    Args:
        work: see the class.
        sessions: makes the jobs' sessions.
        type_id: the type of the jobs.
        size: the most jobs.
    """

    def __init__(self, work: GroupWork, sessions: GroupSessions, type_id: int, size: int) -> None:
        self._work = work
        self._database = work.context.database
        self._sessions = sessions
        self._type_id, self._size = type_id, size
        self._started = time.monotonic()
        self._begun = 0
        self._is_cut = False
        self._ended: list[EndedJob] = []
        self._progress: dict[int, int] = {}
        self._written: set[object] = set()
        self._session: OwnedSession | None = None
        self._open: Callable[[], OwnedSession]
        self._process = os.getpid()

    def run(self) -> Result:
        """Run jobs and complete them; after any error, roll all of them back.

        Raises:
            KeyboardInterrupt: somebody pressed Ctrl-C, and no keeper has heard it.
        """
        error: BaseException | None = None
        assert self._database.engine is not None
        try:
            connection = self._database.engine.connect()
            try:
                self._run(connection)
            except BaseException as raised:
                error = raised
                self._undo(connection, raised)
            finally:
                self._close_session()
                connection.close()
                self._database.job_ended()
        except Exception as raised:  # it could not be opened, or not be closed
            error = error or raised
        if isinstance(error, KeyboardInterrupt) and not self._work.context.keeper.hears_signals:
            raise error
        ended = self._ended if error is None else []
        return Result(ended, self._is_cut, error, self._begun)

    def _run(self, connection: Connection) -> None:
        transaction = connection.begin()
        end_if_stopped(connection)
        locked = take_group(connection, self._type_id, self._size, self._work.claimant)
        if not locked.jobs:
            transaction.rollback()
            return
        shared = connection.connection.driver_connection
        assert isinstance(shared, Shared)
        unchanged = UnchangedConnection(connection)
        shared.begin_sharing()
        self._run_jobs(connection, shared, locked)
        self._end_session()
        unchanged.check()
        check_transaction(shared)
        shared.end_sharing()
        if self._work.surroundings.has_changed():
            raise LeavesGroup("left something behind in the process")
        if not self._ended:
            transaction.rollback()
            return
        leave(connection)
        if not self._work.claimant.may_take(connection):
            raise LeavesGroup("belongs to a run that has lost the lock of its section")
        numbers = [ended.claim.id for ended in self._ended]
        if not complete_group(connection, numbers, locked.started, self._work.claimant.name, self._progress):
            raise LeavesGroup("moved or deleted a job of the group")
        try:
            transaction.commit()
        except DBAPIError as error:
            if not (
                is_lost(error) and is_committed(self._database, self._ended[0].claim, self._work.claimant.name)
            ):
                raise

    def _run_jobs(self, connection: Connection, shared: Shared, locked: Locked) -> None:
        """Run jobs until the group's time is over; stop before a job that cannot share its transaction."""
        members = Members(locked, self._work.claimant.name)
        self._open = partial(self._sessions.open, connection, members, self._written)
        claims = [taken.claim for taken in locked.jobs]
        objects = GroupObjects(self._work.context.source, claims, self._open)
        watch = self._watch(connection)
        with self._work.context.keeper.watching(watch):
            for taken in locked.jobs:
                self._is_cut = bool(self._ended) and time.monotonic() >= self._started + _pace.GROUP_SECONDS
                if self._is_cut or self._work.must_stop():
                    break
                shared.next_job_begins()
                if not self._run_job(taken, objects, watch, shared):
                    break
        if watch.interrupted is not None:
            raise watch.interrupted  # a job swallowed it

    def _watch(self, connection: Connection) -> Attempt:
        """Return the attempt that the keeper watches: it has no lease, only a time limit."""
        idle = Claimed(Claim(0, 0, self._started), RunnableView(self))
        watch = Attempt(idle, self._work.context.sessions.shared, 0.0, must_stop=self._work.must_stop)
        watch.clock.renew_at = float("inf")
        watch.clock.limit_to(_pace.GROUP_SECONDS + JOB_SECONDS)
        watch.transaction_began(connection)
        return watch

    def _run_job(self, taken: Taken, objects: GroupObjects, watch: Attempt, shared: Shared) -> bool:
        """Run one job; return False if it cannot share its transaction.

        Raises:
            BaseException: whatever the job raises; `LeavesGroup` if it did what it may only do by itself.
        """
        began = time.monotonic()
        session = self._session_of_next(f"job {taken.claim.id}")
        job = objects.job(taken.claim, session)
        if not job.group_commit:
            return False
        self._begun += 1
        attempt = GroupedAttempt(taken.claim, watch)
        session.info[ATTEMPT] = attempt
        job.attach(attempt)
        with working_on(_current_job(taken, job)):
            in_own_context(_called, partial(self._run_code, taken, job, session))
        check_job(attempt, session, shared)
        seconds = time.monotonic() - began
        if job.time_limit is not None and seconds > job.time_limit:
            raise LeavesGroup("took longer than its time limit")
        if attempt.progress is not None:
            self._progress[taken.claim.id] = attempt.progress
        self._ended.append(EndedJob(taken.claim, job.class_name, taken.waited, seconds))
        return True

    def _run_code(self, taken: Taken, job: RunnableView, session: OwnedSession) -> None:
        self._work.context.statements.clear()
        with self._work.guard.around(job), working_in(session):
            job.check_code(is_bare=taken.is_bare)
            with self._work.context.around_job():
                try:
                    job.run()
                finally:
                    if os.getpid() != self._process:
                        os._exit(COPY_STATUS)  # a copy, which shares our connection
            session.flush()  # unflushed changes are part of its work

    def _session_of_next(self, what: str) -> OwnedSession:
        """Return a session that no job has used."""
        if self._session is None or not is_untouched(self._session):
            self._end_session()
            self._session = self._open()
        self._session.own(what)
        return self._session

    def _end_session(self) -> None:
        """Check the session of jobs that have ended, and close it.

        Raises:
            LeavesGroup: one of them listens to it.
        """
        if self._session is not None:
            check_session(self._session)
        self._close_session()

    def _close_session(self) -> None:
        """Close the session of jobs that have ended; this does not end the transaction."""
        session, self._session = self._session, None
        if session is not None:
            session.info[ATTEMPT] = None
            with suppress(Exception):  # its transaction may be gone
                session.give_up()

    def _undo(self, connection: Connection, error: BaseException) -> None:
        """Roll back the work of all jobs."""
        with suppress(Exception):
            shared = connection.connection.driver_connection
            if isinstance(shared, Shared):
                shared.end_sharing()
        self._work.surroundings.put_back(f"a group of {self._begun} jobs")
        if not any(isinstance(member, (*RAISED_ANYWHERE, LeavesGroup)) for member in members_of(error)):
            with suppress(Exception):
                if connection.in_transaction():
                    connection.get_transaction().rollback()  # type: ignore[union-attr]
                return
        with suppress(Exception):  # it may have been closed with its error
            connection.invalidate()
        self._database.close()


def _called(work: Callable[[], None]) -> None:
    work()


def _current_job(taken: Taken, job: RunnableView) -> CurrentJob:
    name = f"{job.class_name} (ID {taken.claim.id})"
    facts: dict[str, object] = {
        "job_id": taken.claim.id,
        "job_class": job.class_name,
        "job_uuid": taken.uuid,
        "attempt_count": taken.attempts,
    }
    return CurrentJob(name, facts, lambda: job.oops_variables() or [])
