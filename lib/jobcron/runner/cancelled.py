"""Call the failure hooks of jobs that were cancelled after they had committed part of their work.

The process that cancels a job, such as a web process, may not have the job's code. So the next run of the job's
section calls the hook, unless the job is paused. The hook's work and the fact that it was called are committed
together.
"""

# why: decisions 2026-11-29, a cancelled job that is half done has its failure hook

from __future__ import annotations

import math
import time
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from jobcron.database.sessions import use_session
from jobcron.database.statements import execute
from jobcron.database.trouble import interruption_of
from jobcron.errors import DatabaseUnavailable, JobCancelled
from jobcron.jobs.history import EventKind, record
from jobcron.jobs.lease import Claim, lost
from jobcron.queue.claim import Claimant
from jobcron.queue.finish import end_half_done
from jobcron.queue.loading import Claimed, Objects
from jobcron.reports.plurals import counted
from jobcron.runner._backlog import Backlog
from jobcron.runner._context import RunContext, run_context
from jobcron.runner.attempt import Attempt
from jobcron.runner.failure import CLEAN_UP_SECONDS
from jobcron.runner.surroundings.boundary import Surroundings, in_own_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from jobcron.queue.views import RunnableView
    from jobcron.runner.source_runner import SourceRunner


class _HalfDone(NamedTuple):
    """A cancelled job that had committed something, and whose failure hook is to be called.

    Attributes:
        claim: its number, and its token; nobody runs it.
        crashes: how many processes have died that ran it, or called its hook.
    """

    claim: Claim
    crashes: int


def _has_half_done(connection: Connection, source: str, section: str) -> bool:
    """Return whether a source has unpaused cancelled jobs whose hooks are to be called; write nothing."""
    return execute(connection, "half_done", {"source": source, "section": section}).first() is not None


def _take_half_done(connection: Connection, source: str, claimant: Claimant) -> _HalfDone | None:
    """Take the lease of a cancelled job whose hook is to be called; return None if there is no such job."""
    parameters = {
        "source": source,
        "section": claimant.section,
        "lease_seconds": claimant.lease_seconds,
        "claimed_by": claimant.name,
    }
    row = execute(connection, "take_half_done", parameters).first() if claimant.may_take(connection) else None
    return None if row is None else _HalfDone(Claim(row.id, row.lease_token, time.monotonic()), row.crash_count)


def call_hooks(runner: SourceRunner) -> bool:
    """Call the hooks of a source's cancelled jobs; return False if the run was asked to stop meanwhile.

    Args:
        runner: of the source; it has not begun.

    Raises:
        DatabaseUnavailable: the database is gone for good.
        KeyboardInterrupt: somebody pressed Ctrl-C.
    """
    with runner.database.begin(writing=False) as connection:
        if not _has_half_done(connection, runner.source_view.name, runner.claimant.section):
            return True
    with run_context(
        runner.database,
        runner.source_view,
        runner.application.context,
        runner.logger,
        backlog=Backlog(),
        grace_seconds=runner.limits.grace_seconds,
        has_lost_section=runner.has_lost_section,
        on_failed_action=runner.reporter.tell_failed_action,
    ) as context:
        with (
            runner.source_view.context(),
            closing(Surroundings(runner.logger, runner.database.engine)) as surroundings,
        ):
            _Hooks(runner, context, surroundings).call_all()
        runner.was_stopped = context.keeper.is_stopping
    if context.keeper.from_keyboard:
        raise KeyboardInterrupt
    return not runner.was_stopped


class _Hooks:
    """Takes cancelled jobs one after the other, and calls the hook of each."""

    def __init__(self, runner: SourceRunner, context: RunContext, surroundings: Surroundings) -> None:
        self._runner = runner
        self._database = context.database
        self._source = context.source
        self._logger = context.logger
        self._context = context
        self._surroundings = surroundings

    def call_all(self) -> None:
        claimant = self._runner.claimant
        while not (self._context.keeper.is_stopping or self._runner.has_lost_section()):
            with self._database.begin() as connection:
                taken = _take_half_done(connection, self._source.name, claimant)
            if taken is None:
                return
            if taken.crashes >= self._runner.limits.crash_limit:
                self._give_up(taken)
            else:
                self._call(taken)

    def _give_up(self, taken: _HalfDone) -> None:
        reason = f"{counted(taken.crashes, 'attempt')} at the job, or at its failure hook, left no end"
        self._logger.error("%s was cancelled half done, and stays so: %s.", taken.claim, reason)
        self._end(taken, reason)

    def _call(self, taken: _HalfDone) -> None:
        """Call a job's hook, if it has one; write how that ended."""
        name = str(taken.claim)
        session = self._context.sessions.shared
        try:
            job = self._loaded(taken, session)
            session.commit()
            if job.failure_hook is None:
                self._end(taken)
                return
            objects = Objects.UNREAD if self._source.loads_rows else Objects.SHARED
            claimed = Claimed(taken.claim, job, objects)
            name = f"{job.class_name} (ID {taken.claim.id})"
            with self._context.sessions.of(claimed) as own:
                in_own_context(partial(self._called, taken, claimed), own)
        except BaseException as error:  # `sys.exit` as well: it ends no run
            with suppress(DBAPIError):
                session.rollback()
            self._failed(taken, name, error)
        else:
            self._logger.info("%s was cancelled half done: its failure hook was called.", name)
        finally:
            self._surroundings.put_back(name)

    def _called(self, taken: _HalfDone, claimed: Claimed, session: Session) -> None:
        """Call a hook within its time limit, and commit its work and that it was called.

        Raises:
            LeaseLost: the job was moved; nothing is committed.
            BaseException: whatever the hook raises.
        """
        if claimed.objects is Objects.UNREAD:
            claimed = claimed._replace(job=self._loaded(taken, session))
        seconds = self._runner.lease_seconds
        attempt = Attempt(claimed, session, seconds)
        attempt.clock.renew_at = math.inf  # no keeper renews the lease of a job that does not run
        attempt.clock.limit_to(min(claimed.job.time_limit or CLEAN_UP_SECONDS, seconds))
        hook = claimed.job.failure_hook
        assert hook is not None
        try:
            with _known_connection(session, attempt), self._context.keeper.watching(attempt):
                with use_session(session), self._context.around_job():
                    hook(JobCancelled("the job was cancelled when it had committed something"))
                session.flush()
            if attempt.interrupted is not None:
                raise attempt.interrupted  # the hook swallowed it
            connection = session.connection()
            if not end_half_done(connection, taken.claim):
                raise lost(taken.claim)
            record(connection, taken.claim, EventKind.CLEANED_UP, None)
            session.commit()
        except BaseException:
            with suppress(Exception):
                session.rollback()
            if attempt.interrupted is not None:
                session.invalidate()  # raised inside the driver, perhaps
                self._database.close()
            raise
        finally:
            self._database.job_ended()

    def _failed(self, taken: _HalfDone, name: str, error: BaseException) -> None:
        """Write that a hook failed; if the hook is not to blame, let a later run call it again."""
        if self._context.keeper.is_stopping:
            with self._database.begin() as connection:
                end_half_done(connection, taken.claim, is_again=True)
            return
        if isinstance(error, DatabaseUnavailable):
            raise error
        reason = self._runner.reporter.text_of(error).line or type(error).__name__
        if interruption_of(error) is not None:
            text = "The failure hook of %s, which was cancelled half done, is called again after its lease: %s"
            self._logger.warning(text, name, reason)
        elif self._end(taken, reason):
            text = "The failure hook of %s, which was cancelled half done, failed: what it has committed stays"
            self._logger.error(text, name, exc_info=error)
        else:
            self._logger.info("%s was moved while its failure hook was called; the hook's work is undone.", name)

    def _loaded(self, taken: _HalfDone, session: Session) -> RunnableView:
        found = self._source.load(session, [taken.claim.id]).get(taken.claim.id)
        if found is None:
            self._source.missing().run()  # raises what is missing
            raise AssertionError("not reached")
        return found

    def _end(self, taken: _HalfDone, failure: str | None = None) -> bool:
        """Write that no hook is to be called any more; return False if the job was moved meanwhile."""
        with self._database.begin() as connection:
            is_ours = end_half_done(connection, taken.claim)
            if is_ours and failure is not None:
                record(connection, taken.claim, EventKind.NOT_CLEANED_UP, failure)
        return is_ours


@contextmanager
def _known_connection(session: Session, attempt: Attempt) -> Iterator[None]:
    """Give the keeper the connection of a hook's transactions, to stop a statement at the time limit."""

    def note(session: Session, transaction: object, connection: Connection) -> None:
        attempt.transaction_began(connection)

    event.listen(session, "after_begin", note)
    try:
        yield
    finally:
        event.remove(session, "after_begin", note)
