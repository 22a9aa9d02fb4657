"""What follows an attempt that did not succeed: report, row, log, mail, in this order.

The report is published before the row says FAILED, so that a row never names a report that is not there; mail
follows the commit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.sessions import ATTEMPT, use_session
from jobcron.database.trouble import interruption_of
from jobcron.errors import LeaseLost
from jobcron.interfaces import JobStatus
from jobcron.queue.finish import set_aside, still_ours
from jobcron.queue.loading import effects_of
from jobcron.queue.outcome import Lost, Outcome, PoisonStopped
from jobcron.runner._telling import Reporter
from jobcron.runner.attempt import Attempt


def set_aside_and_tell(
    database: TransactionSource,
    reporter: Reporter,
    attempt: Attempt,
    outcome: Outcome,
    context: Callable[[], AbstractContextManager[Any]],
) -> Outcome:
    """Write an outcome that is not success, after the job was rolled back, and tell of it.

    Args:
        database: where the job is.
        reporter: publishes, logs and mails.
        attempt: what was tried.
        outcome: how it ended.
        context: the application's, entered around what the job tells of itself.

    Returns:
        The outcome that was written, or Lost.

    Raises:
        DatabaseUnavailable: the database cannot be reached; nothing is told, the lease decides.
    """
    report: dict[str, Any] | None = None
    oops_id, detail = None, outcome.detail
    if outcome.reported and not still_ours(database, attempt.claim):
        outcome = Lost(outcome.error)
    if outcome.error is not None and outcome.reported:
        report, unpublished = reporter.publish(
            attempt,
            outcome.error,
            _variables(attempt, context),
            duration=round(time.monotonic() - attempt.started, 3),
            timeline=attempt.statements,
        )
        oops_id, detail = report["id"], unpublished
    if not isinstance(outcome, Lost) and not attempt.is_written:
        written = set_aside(
            database,
            attempt.claim,
            replace(outcome, detail=detail or reporter.reason(outcome)),
            progress=attempt.progress,
            log=reporter.error_text(outcome.error),
            oops_id=oops_id,
        )
        outcome = written or Lost(outcome.error)
    reporter.tell_log(attempt, outcome, oops_id)
    if not isinstance(outcome, Lost):
        _tell_people(reporter, attempt, outcome, report, context)
    return outcome


def _tell_people(
    reporter: Reporter,
    attempt: Attempt,
    outcome: Outcome,
    report: dict[str, Any] | None,
    context: Callable[[], AbstractContextManager[Any]],
) -> None:
    """Let the job tell people, once more where the database interrupted it; it changes nothing about the job."""
    for is_last in (False, True):
        try:
            with use_session(attempt.session), context():
                reporter.tell_people(attempt, outcome, report)
            return
        except BaseException as failure:  # `sys.exit` as well: it ends neither job nor run
            kind = interruption_of(failure)
            if is_last or kind is None:
                reporter.tell_nobody_told(attempt, failure, kind and kind.sentence)
                return
        finally:
            with suppress(DBAPIError):  # the connection is gone; the session is closed by it all the same
                attempt.session.rollback()


def _variables(attempt: Attempt, context: Callable[[], AbstractContextManager[Any]]) -> list[tuple[str, object]]:
    """Return what the job tells of itself, whatever state it is in."""
    known: list[tuple[str, object]] = [("job_id", attempt.claim.id)]
    effects: list[tuple[str, object]] = []
    try:
        tell = getattr(attempt.runnable, "getOopsVars", None)
        with use_session(attempt.session), context():
            effects = [("effects", effects_of(attempt.runnable, attempt.uuid))]
            known = [(str(name), value) for name, value in tell()] if tell else known
    except BaseException as error:
        known.append(("getOopsVars", f"failed: {type(error).__name__}"))
    with suppress(DBAPIError):
        attempt.session.rollback()
    return [*known, *effects]

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
