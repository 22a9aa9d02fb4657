"""What follows an attempt that did not succeed: report, row, log, mail, in this order.

The report is published before the row says FAILED, so that a row never names a report that is not there; mail
follows the commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import DBAPIError

from jobcron.attempt import Attempt
from jobcron.database import TransactionSource
from jobcron.effects import effects_of
from jobcron.finish import set_aside, still_ours
from jobcron.outcome import Lost, Outcome
from jobcron.report import Reporter
from jobcron.sessions import use_session
from jobcron.trouble import interruption_of


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
            reason = interruption_of(failure)
            if is_last or reason is None:
                reporter.tell_nobody_told(attempt, failure, reason)
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
