"""What a run works with: the session of its jobs, the note of their statements, the keeper beside them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from sqlalchemy.orm import Session

from jobcron.attempt import fenced
from jobcron.database import Database, TransactionSource
from jobcron.keeper import Backlog, Keeper
from jobcron.notify import ON_FAILED_ACTION
from jobcron.timeline import Timeline


@contextmanager
def workplace(
    database: TransactionSource,
    backlog: Backlog,
    grace_seconds: float,
    logger: logging.Logger,
    on_failed_action: Callable[[BaseException], None],
) -> Iterator[tuple[Session, Timeline, Keeper | None]]:
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
            yield session, statements, None
            return
        keeper = Keeper(database.companion, backlog, grace_seconds, logger)
        keeper.start()
        try:
            with keeper.interruptions:
                yield session, statements, keeper
        finally:
            keeper.stop()  # after the signals were given back: until then they are written to its pipe


def clear_frames(error: BaseException) -> None:
    """Let go of what the frames of an error's traceback hold; the traceback's text stays as it is."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        traceback.clear_frames(current.__traceback__)
        current = current.__cause__ or current.__context__
