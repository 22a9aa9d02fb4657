"""Report an attempt that did not succeed: the OOPS, the log, the mail."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import Any, NamedTuple

from jobcron.errors import MissingCode, UserMistake
from jobcron.jobs.lease import Claim
from jobcron.queue.error_rules import members_of
from jobcron.queue.outcome import (
    Failed,
    Lost,
    NotStarted,
    Outcome,
    Retry,
    SlowLane,
    Stopped,
    Suspended,
    UserError,
    WaitsForCode,
)
from jobcron.reports.current_job import CurrentJob, Variables
from jobcron.reports.error_text import ErrorText
from jobcron.reports.logs import NO_OOPS, complain
from jobcron.reports.oops import ErrorUtility
from jobcron.runner.attempt import Attempt
from jobcron.settings.secrets import storable


class Ended(NamedTuple):
    """How an attempt ended.

    Attributes:
        outcome: what it means.
        text: of its error, if any.
        moved: what somebody did to the job by hand meanwhile, who, and why; None: nothing is known.
    """

    outcome: Outcome
    text: ErrorText | None = None
    moved: str | None = None

    @property
    def reason(self) -> str:
        """Why the attempt ended, in one line."""
        if self.outcome.detail or self.text is None:
            return self.outcome.detail or ""
        if isinstance(self.outcome, Stopped):
            return self.text.line or "stopped from the keyboard"
        return str(self.text)


class Report(NamedTuple):
    """A report that was made.

    Attributes:
        content: the report; its ``id`` is None if a filter dropped it.
        unpublished: the report's whole text if no publisher took it; it then belongs in the job's history.
    """

    content: dict[str, Any]
    unpublished: str | None = None

    @property
    def id(self) -> str | None:
        """The report's id, or None if a filter dropped the report."""
        oops_id: str | None = self.content["id"]
        return oops_id


class Reporter:
    """Reports the attempts of one run.

    Args:
        utility: makes and publishes reports.
        logger: the script's logger.

    Attributes:
        oops_ids: the ids of the reports made.
    """

    def __init__(self, utility: ErrorUtility, logger: logging.Logger) -> None:
        self.utility = utility
        self.logger = logger
        self.oops_ids: list[str] = []

    def text_of(self, error: BaseException) -> ErrorText:
        """Return the printable text of an error, without secrets."""
        return ErrorText.of(error, self.utility.redactor)

    def publish(self, attempt: Attempt, error: BaseException, variables: Variables) -> Report:
        """Publish the report of a failed attempt; if no publisher takes it, write it to standard error."""
        oops_id = job_oops_id(self.utility.prefix, attempt.claim, attempt.facts.uuid)
        report = self._report_of(attempt, error, oops_id, variables)
        try:
            if self.utility.publish(report) is None:
                report["id"] = None
                return Report(report)
        except BaseException as failure:
            whole, reason = storable(json.dumps(report, default=str)), self.text_of(failure)
            complain(f"OOPS {oops_id} could not be published ({reason}): {whole}")
            self.oops_ids.append(oops_id)
            return Report(report, f"not published: {reason}\n{whole}")
        self.oops_ids.append(oops_id)
        return Report(report)

    def _report_of(
        self, attempt: Attempt, error: BaseException, oops_id: str, variables: Variables
    ) -> dict[str, Any]:
        """Make a report; leave out whatever the job or the application fails to add."""
        make = self.utility.make_report
        more: dict[str, Any] = {"duration": round(attempt.clock.elapsed, 3), "timeline": attempt.statements}
        try:
            return make(error, oops_id, variables, **more)
        except BaseException as failure:
            said: Variables = [("variables", f"could not be shown: {self.text_of(failure)}")]
        try:
            return make(error, oops_id, said, **more)
        except BaseException as failure:
            said.append(("on_create", f"failed: {self.text_of(failure)}"))
            return make(error, oops_id, said, hooked=False, **more)

    def tell_failed_action(self, error: BaseException) -> None:
        """Log the error of an action after a commit."""
        text = self.text_of(error).traceback
        self.logger.error("An action after the commit failed; the commit stands:\n%s", text)

    def tell_refused(self, attempt: Attempt, error: Exception) -> None:
        """Log that the database refused to store all details of an attempt."""
        text = "The database refused the text of how %s ended, which is written with less: %s"
        self.logger.warning(text, attempt.name, self.text_of(error), extra=NO_OOPS)

    def tell_log(self, attempt: Attempt, ended: Ended, oops_id: str | None) -> None:
        """Log how an attempt ended."""
        job, text, outcome = attempt.name, str(ended.text or ""), ended.outcome
        match outcome:
            case Failed():
                # The record carries the id: it is the outcome of a job, not a second report.
                self.logger.info("Job resulted in OOPS: %s (%s)", oops_id, job, extra={"oops_id": oops_id})
                self.logger.debug("%s failed: %s", job, text)
            case UserError():
                self.logger.info("%s failed with user error %s.", job, text)
            case Retry():
                self.logger.info("Scheduling retry of %s due to %s.", job, text)
            case SlowLane():
                self.logger.info("%s goes on in its slow lane, as %s: %s.", job, outcome.detail, text)
            case Suspended():
                self.logger.info("%s suspended itself.", job)
            case WaitsForCode():
                self._tell_missing_code(job, outcome, text)
            case Lost():
                self._tell_lost(job, ended.moved, {"oops_id": oops_id or ""})
            case NotStarted():
                self.logger.info("%s was not started: the run was stopped.", job)
            case Stopped():
                self.logger.info("%s was interrupted: %s.", job, ended.reason)
            case _:
                self.logger.info("%s: %s: %s.", job, outcome.kind, outcome.detail)

    def _tell_lost(self, job: str, moved: str | None, extra: dict[str, str]) -> None:
        """Log that an attempt has lost its job; this is a warning unless somebody moved the job on purpose."""
        if moved is None:
            self.logger.warning("%s lost its lease; nothing was committed.", job, extra=extra)
        else:
            self.logger.info("%s was %s while it ran; nothing was committed.", job, moved, extra=extra)

    def _tell_missing_code(self, job: str, outcome: Outcome, text: str) -> None:
        """Warn of what this code lacks, once in each interval for each function, task and argument."""
        members = members_of(outcome.error) if outcome.error is not None else []
        names = ", ".join(dict.fromkeys(member.name for member in members if isinstance(member, MissingCode)))
        if self.utility.reminders.is_due(names):
            waiting = "%s, and perhaps others, waits for code: this code lacks %s."
            self.logger.warning(waiting, job, names, extra=NO_OOPS)
        self.logger.debug("%s waits for code: %s", job, text)

    def tell_people(self, attempt: Attempt, outcome: Outcome, report: Report | None) -> None:
        """Call the job's notification methods, which send mail to the people that the job names.

        Raises:
            Exception: whatever the job raises.
        """
        if isinstance(outcome, UserError):
            attempt.job.notify_user_error(outcome.error)
        elif report is not None and report.id:
            attempt.job.notify_oops(report.content)

    def tell_nobody_told(self, attempt: Attempt, failure: BaseException, reason: str | None) -> None:
        """Log that people could not be notified, with a traceback unless the database caused it (`reason`)."""
        said = self.text_of(failure)
        if isinstance(failure, UserMistake):  # its message is complete
            reason = said.line
        if reason:
            told, extra = "Nobody could be told that %s failed: %s", {"oops_id": None}
            self.logger.error(told, attempt.name, reason, extra=extra)
        else:
            self.logger.error("Nobody could be told that %s failed:\n%s", attempt.name, said.traceback)


def job_oops_id(prefix: str, claim: Claim, job_uuid: object) -> str:
    """Return the id of the report of one attempt at one job.

    The id follows from the attempt, so a report is never made twice. The start of the job's UUID tells apart
    databases that share a directory and a prefix.
    """
    return f"OOPS-{prefix}{claim.id}-{claim.token}-{str(job_uuid)[:8]}"


def current_job(attempt: Attempt) -> CurrentJob:
    """Return the job of an attempt, for what is reported and logged while it runs."""
    facts: dict[str, object] = {
        "job_id": attempt.claim.id,
        "job_class": attempt.facts.class_name,
        "job_uuid": str(attempt.facts.uuid),
        "attempt_count": attempt.counts.attempts,
    }
    return CurrentJob(attempt.name, facts, partial(_asked, attempt))


def _asked(attempt: Attempt) -> Variables:
    """Return the job's own report variables, without changing or beginning a transaction.

    Raises:
        Exception: whatever the job raises.
    """
    if attempt.told is not None:
        return attempt.told
    session = attempt.session
    has_begun = session.in_transaction()
    try:
        with session.no_autoflush:
            return attempt.job.oops_variables() or []
    finally:
        if not has_begun and session.in_transaction():
            session.rollback()  # nothing is lost: a session with changes is in a transaction
