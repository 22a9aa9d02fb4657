"""What a run works with: the session of its jobs, the note of their statements, the keeper beside them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from sqlalchemy.orm import Session

from jobcron.database.database import Database, TransactionSource
from jobcron.database.sessions import ON_FAILED_ACTION
from jobcron.database.trouble import causes_of
from jobcron.runner._backlog import Backlog
from jobcron.runner._fence import fenced
from jobcron.runner._keeper import Keeper
from jobcron.runner._timeline import Timeline


class Workplace(NamedTuple):
    """What a run works with.

    Attributes:
        session: of its jobs.
        statements: what was asked of the database in it.
        keeper: looks after the job that runs, and hears signals; None in a test's own transaction.
    """

    session: Session
    statements: Timeline
    keeper: Keeper | None

    @property
    def is_stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self.keeper is not None and self.keeper.interruptions.stopping


@contextmanager
def workplace(
    database: TransactionSource,
    backlog: Backlog,
    grace_seconds: float,
    logger: logging.Logger,
    on_failed_action: Callable[[BaseException], None],
) -> Iterator[Workplace]:
    """Open the session, the timeline and the keeper of a run; in a test's transaction there is nothing to keep.

    Args:
        database: where the jobs are.
        backlog: what is claimed and not started.
        grace_seconds: how long a job may go on after SIGTERM.
        logger: of the script.
        on_failed_action: told of errors of actions after a commit.
    """
    engine = database.engine if isinstance(database, Database) else None
    with (
        closing(database.session()) as session,
        fenced(session),
        closing(Timeline(engine)) as statements,
    ):
        session.info[ON_FAILED_ACTION] = on_failed_action
        if not isinstance(database, Database):
            yield Workplace(session, statements, None)
            return
        keeper = Keeper(database.companion, backlog, grace_seconds, logger)
        keeper.start()
        try:
            with keeper.interruptions:
                yield Workplace(session, statements, keeper)
        finally:
            keeper.stop()  # after the signals were given back: until then they are written to its pipe


def clear_frames(error: BaseException) -> None:
    """Let go of what the frames of an error's traceback hold; the traceback's text stays as it is."""
    for link in causes_of(error):
        traceback.clear_frames(link.__traceback__)
