"""The working context of a run: its sessions, the timeline of their statements, the keeper.

A job's session ends with its attempt. Anything that the job does with it later, by mistake or in a thread that is
still running, is part of no transaction.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import NamedTuple

from jobcron.database.database import TransactionSource
from jobcron.database.sessions import ATTEMPT, ON_FAILED_ACTION, WRITTEN, OwnedSession, adopt, note_values
from jobcron.database.trouble import causes_of
from jobcron.jobs.arguments.document import follow_all
from jobcron.queue.loading import Claimed, Objects
from jobcron.queue.views import SourceView
from jobcron.reports.current_job import records_carry_jobs
from jobcron.runner._backlog import Backlog
from jobcron.runner._fence import Fenced, fenced
from jobcron.runner._keeper import Keeper, NoKeeper
from jobcron.runner._timeline import Timeline

OF_RUN = "the run, between two jobs"
"""The owner of the session in which jobs are found, for messages; see `OwnedSession.own`."""


class JobSessions:
    """Opens the sessions of a run.

    Args:
        database: the database of the jobs.
        on_failed_action: called with errors of actions after a commit.

    Attributes:
        shared: the session in which jobs are claimed and loaded. Jobs from a custom ``iterReady`` also work in
            it, because the owner of their objects is unknown.
        written: the identities of the rows that jobs have written through their objects; for the runner to empty.
    """

    def __init__(self, database: TransactionSource, on_failed_action: Callable[[BaseException], None]) -> None:
        self._database = database
        self._on_failed_action = on_failed_action
        self.shared = self._open()
        self.shared.own(OF_RUN)
        self._current = self.shared
        self.written: set[object] = set()

    def attempt(self) -> Fenced | None:
        """Return the running attempt, or None between attempts."""
        attempt: Fenced | None = self._current.info.get(ATTEMPT)
        return attempt

    @contextmanager
    def of(self, claimed: Claimed) -> Iterator[OwnedSession]:
        """Open the session of an attempt, with the job's objects in it, and close it for good at the end."""
        name = f"{claimed.job.class_name} (ID {claimed.claim.id})"
        if claimed.objects is Objects.SHARED:
            self.shared.own(name)
            try:
                yield self.shared
            finally:
                self.shared.own(OF_RUN)
            return
        session = self._current = self._open()
        session.own(name)
        session.info[WRITTEN] = self.written
        if claimed.batch is not None:
            claimed.batch.serve(claimed.claim, session)
        try:
            if claimed.rows:
                adopt(session, claimed.rows)
                follow_all(session)
                note_values(session)
            yield session
        finally:
            self._current = self.shared
            session.give_up()

    def _open(self) -> OwnedSession:
        session = self._database.session()
        session.info[ON_FAILED_ACTION] = self._on_failed_action
        return session


class RunContext(NamedTuple):
    """The working context of a run.

    Attributes:
        database: the database of the jobs.
        source: the source of the jobs.
        around_job: returns the application's context manager, which is entered around a job.
        logger: the script's logger.
        sessions: opens the sessions of the jobs.
        statements: the statements that were sent in those sessions.
        keeper: looks after the running job, and receives signals.
    """

    database: TransactionSource
    source: SourceView
    around_job: Callable[[], AbstractContextManager[object]]
    logger: logging.Logger
    sessions: JobSessions
    statements: Timeline
    keeper: Keeper | NoKeeper


@contextmanager
def run_context(
    database: TransactionSource,
    source: SourceView,
    around_job: Callable[[], AbstractContextManager[object]],
    logger: logging.Logger,
    *,
    backlog: Backlog,
    grace_seconds: float,
    has_lost_section: Callable[[], bool],
    on_failed_action: Callable[[BaseException], None],
) -> Iterator[RunContext]:
    """Open the session, the timeline and the keeper of a run.

    Args:
        database, source, around_job, logger: see `RunContext`.
        backlog: claimed jobs that have not started.
        grace_seconds: how long a job may go on after SIGTERM.
        has_lost_section: returns whether the run has lost its section to another one.
        on_failed_action: called with errors of actions after a commit.
    """
    sessions = JobSessions(database, on_failed_action)
    with (
        records_carry_jobs(),
        closing(sessions.shared),
        fenced(database, sessions.attempt),
        closing(Timeline(database.engine)) as statements,
    ):
        keeper: Keeper | NoKeeper = NoKeeper()
        if not database.is_ambient:
            keeper = Keeper(database.companion, backlog, grace_seconds, has_lost_section, logger)
        with keeper.at_work():
            yield RunContext(database, source, around_job, logger, sessions, statements, keeper)


def clear_frames(error: BaseException) -> None:
    """Clear the frames of an error's traceback, which releases their variables but keeps its text."""
    for link in causes_of(error):
        traceback.clear_frames(link.__traceback__)
