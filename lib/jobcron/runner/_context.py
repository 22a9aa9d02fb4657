"""What a run works with: its session, the timeline of its statements, the keeper beside it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import NamedTuple

from jobcron.database.database import TransactionSource
from jobcron.database.trouble import causes_of
from jobcron.queue.views import SourceView
from jobcron.runner._backlog import Backlog
from jobcron.runner._fence import fenced
from jobcron.runner._keeper import Keeper, NoKeeper
from jobcron.runner._sessions import JobSessions
from jobcron.runner._timeline import Timeline


class RunContext(NamedTuple):
    """What a run works with.

    Attributes:
        database: where the jobs are.
        source: whose jobs they are.
        around_job: returns the application's context manager, which is entered around a job.
        logger: of the script.
        sessions: of the jobs.
        statements: what was asked of the database in them.
        keeper: looks after the job that runs, and hears signals.
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
    on_failed_action: Callable[[BaseException], None],
) -> Iterator[RunContext]:
    """Open the session, the timeline and the keeper of a run.

    Args:
        database, source, around_job, logger: see `RunContext`.
        backlog: what is claimed and not started.
        grace_seconds: how long a job may go on after SIGTERM.
        on_failed_action: told of errors of actions after a commit.
    """
    sessions = JobSessions(database, on_failed_action)
    with (
        closing(sessions.shared),
        fenced(database, sessions.attempt),
        closing(Timeline(database.engine)) as statements,
    ):
        keeper: Keeper | NoKeeper = NoKeeper()
        if not database.is_ambient:
            keeper = Keeper(database.companion, backlog, grace_seconds, logger)
        with keeper.at_work():
            yield RunContext(database, source, around_job, logger, sessions, statements, keeper)


def clear_frames(error: BaseException) -> None:
    """Let go of what the frames of an error's traceback hold; the traceback's text stays as it is."""
    for link in causes_of(error):
        traceback.clear_frames(link.__traceback__)
