"""Telling of an attempt that did not succeed: the OOPS, the log, the mail."""

from __future__ import annotations

import json
import logging
from typing import Any

from jobcron.errors import UserMistake
from jobcron.jobs.lease import Claim
from jobcron.queue.outcome import Failed, Lost, Outcome, Retry, Stopped, Suspended, UserError
from jobcron.reports.logs import complain
from jobcron.reports.oops import ErrorUtility, message_of, traceback_of
from jobcron.runner.attempt import Attempt
from jobcron.settings.secrets import cut, storable

MAX_LOG = 20_000
"""The longest traceback on a job's row."""

MAX_LINE = 2_000
"""The longest error in a line of the log, and in an event."""


class Reporter:
    """Reports the attempts of one run.

    Args:
        utility: makes and publishes reports.
        logger: of the script.

    Attributes:
        oops_ids: the reports made.
    """

    def __init__(self, utility: ErrorUtility, logger: logging.Logger) -> None:
        self.utility = utility
        self.logger = logger
        self.oops_ids: list[str] = []

    def publish(
        self, attempt: Attempt, error: BaseException, variables: list[tuple[str, object]], **more: Any
    ) -> tuple[dict[str, Any], str | None]:
        """Publish the report of a failed attempt.

        Returns:
            The report; and, where no publisher took it, its whole text, which then belongs on the job's
            history: it is on standard error already. Its id is None where a filter dropped it.
        """
        oops_id = job_oops_id(self.utility.prefix, attempt.claim, attempt.uuid)
        report = self._report_of(error, oops_id, variables, more)
        try:
            if self.utility.publish(report) is None:
                report["id"] = None
                return report, None
        except BaseException as failure:
            text = storable(json.dumps(report, default=str))
            failure_text = self.in_a_line(failure)
            complain(f"OOPS {oops_id} could not be published ({failure_text}): {text}")
            self.oops_ids.append(oops_id)
            return report, f"not published: {failure_text}\n{text}"
        self.oops_ids.append(oops_id)
        return report, None

    def _report_of(
        self, error: BaseException, oops_id: str, variables: list[tuple[str, object]], more: dict[str, Any]
    ) -> dict[str, Any]:
        """Return a report, with less in it where what the job or the application adds cannot be had."""
        try:
            return self.utility.make_report(error, oops_id, variables, **more)
        except BaseException as failure:
            said: list[tuple[str, object]] = [("variables", f"could not be shown: {self.in_a_line(failure)}")]
        try:
            return self.utility.make_report(error, oops_id, said, **more)
        except BaseException as failure:
            said.append(("on_create", f"failed: {self.in_a_line(failure)}"))
            return self.utility.make_report(error, oops_id, said, hooked=False, **more)

    def error_text(self, error: BaseException | None) -> str | None:
        """Return what the row's ``log`` says of an error: its traceback, without secrets."""
        if error is None:
            return None
        return cut(storable(self.utility.redactor.text(traceback_of(error))), MAX_LOG)

    def in_a_line(self, error: BaseException | None) -> str:
        """Return an error's type and message in one line, without secrets."""
        if error is None:
            return ""
        message, kind = self.message(error), type(error).__name__
        return f"{kind}: {message}" if message else kind

    def reason(self, outcome: Outcome) -> str:
        """Return why an attempt ended, in one line, without secrets."""
        if outcome.detail is None and isinstance(outcome, Stopped) and outcome.error is not None:
            return self.message(outcome.error) or "stopped from the keyboard"
        return outcome.detail or self.in_a_line(outcome.error)

    def message(self, error: BaseException) -> str:
        """Return an error's message in one line, without secrets."""
        text = self.utility.redactor.text(message_of(error))
        return cut(storable(" ".join(text.split())), MAX_LINE)

    def tell_failed_action(self, error: BaseException) -> None:
        """Log the error of an action after a commit."""
        self.logger.error("An action after the commit failed; the commit stands:\n%s", self.error_text(error))

    def tell_log(self, attempt: Attempt, outcome: Outcome, oops_id: str | None) -> None:
        """Log how an attempt ended."""
        job, error = attempt.name, outcome.error
        text = self.in_a_line(error)
        match outcome:
            case Failed():
                # The record carries the id: it is the outcome of a job, not a second report.
                self.logger.info("Job resulted in OOPS: %s (%s)", oops_id, job, extra={"oops_id": oops_id})
                self.logger.debug("%s failed: %s", job, text)
            case UserError():
                self.logger.info("%s failed with user error %s.", job, text)
            case Retry():
                self.logger.info("Scheduling retry of %s due to %s.", job, text)
            case Suspended():
                self.logger.info("%s suspended itself.", job)
            case Lost():
                self.logger.warning(
                    "%s lost its lease; nothing was committed.", job, extra={"oops_id": oops_id or ""}
                )
            case Stopped():
                self.logger.info("%s was interrupted: %s.", job, self.reason(outcome))
            case _:
                self.logger.info("%s: %s: %s.", job, outcome.kind, outcome.detail)

    def tell_people(self, attempt: Attempt, outcome: Outcome, report: dict[str, Any] | None) -> None:
        """Let the job mail whom it names.

        Raises:
            Exception: whatever the job raises.
        """
        if isinstance(outcome, UserError):
            attempt.job.notify_user_error(outcome.error)
        elif report is not None and report["id"]:
            attempt.job.notify_oops(report)

    def tell_nobody_told(self, attempt: Attempt, failure: BaseException, reason: str | None) -> None:
        """Log that people could not be told; with a traceback, unless it was the database's trouble (`reason`)."""
        if isinstance(failure, UserMistake):  # which says all there is
            reason = self.message(failure)
        extra = {"oops_id": None} if reason else {}
        text = f" {reason}" if reason else f"\n{self.error_text(failure)}"
        self.logger.error("Nobody could be told that %s failed:%s", attempt.name, text, extra=extra)


def job_oops_id(prefix: str, claim: Claim, job_uuid: object) -> str:
    """Return the id of the report of one attempt at one job.

    It follows from the attempt, so that a report is never made twice; the beginning of the job's uuid keeps
    databases apart that share a directory and a prefix.
    """
    return f"OOPS-{prefix}{claim.id}-{claim.token}-{str(job_uuid)[:8]}"
