"""What a job does itself when it has failed, in a transaction of its own before its row says FAILED.

A class has a method ``afterFailure(error)`` for that. It is called once the attempt's work is rolled back; what it
writes passes the fence like all work of the job. A process that dies right then leaves a job that is run again, so
it may be called again. It is not called for a job that is stopped because its processes died, nor by the parent of
an isolated job: nothing of such a job is to run there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from sqlalchemy.exc import DBAPIError

from jobcron.attempt import ATTEMPT, Attempt
from jobcron.errors import LeaseLost
from jobcron.interfaces import JobStatus
from jobcron.outcome import Outcome, PoisonStopped
from jobcron.sessions import use_session

CLEAN_UP_SECONDS = 60.0
"""How long a job that has no time limit may take for that."""


def cleans_up(attempt: Attempt, outcome: Outcome) -> bool:
    """Tell whether a job that ended so does something then."""
    if outcome.status is not JobStatus.FAILED or isinstance(outcome, PoisonStopped):
        return False
    return getattr(attempt.runnable, "afterFailure", None) is not None


def let_clean_up(
    attempt: Attempt,
    outcome: Outcome,
    context: Callable[[], AbstractContextManager[Any]],
    logger: logging.Logger,
) -> None:
    """Let a job that has failed do what it does then; errors of that are logged and change nothing about the job.

    Args:
        attempt: the one that failed, rolled back.
        outcome: how it ended.
        context: the application's, entered around it.
        logger: the run's.
    """
    after_failure = attempt.runnable.afterFailure
    session = attempt.session
    session.info[ATTEMPT] = attempt
    try:
        with use_session(session), context():
            after_failure(outcome.error)
        session.commit()
    except LeaseLost:
        pass  # the fence of the outcome finds that as well
    except BaseException:  # `sys.exit` as well: it ends neither job nor run
        logger.exception("%s could not do what it does after a failure; it has failed all the same", attempt.name)
    finally:
        session.info[ATTEMPT] = None
        with suppress(DBAPIError):  # the connection is gone; the session is closed by it all the same
            session.rollback()
