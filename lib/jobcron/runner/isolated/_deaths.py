"""The outcome of a job whose child process died or was ended without reporting it."""

from __future__ import annotations

import logging
from contextlib import closing

from jobcron.database.database import TransactionSource
from jobcron.errors import LeaseLost
from jobcron.interfaces import JobStatus
from jobcron.queue.error_rules import outcome_of
from jobcron.queue.finish import settled
from jobcron.queue.loading import load_claimed
from jobcron.queue.outcome import Failed, Outcome, poisoned
from jobcron.queue.views import SourceView
from jobcron.runner.attempt import Attempt
from jobcron.runner.failure import FailureHandler


class Deaths:
    """Determines and writes the outcomes of jobs that lost their process.

    Args:
        database: the database of the jobs.
        source: the source of the jobs.
        failure: handles attempts that did not succeed.
        logger: the script's logger.
    """

    def __init__(
        self, database: TransactionSource, source: SourceView, failure: FailureHandler, logger: logging.Logger
    ) -> None:
        self._database = database
        self._source = source
        self._failure = failure
        self._logger = logger

    def conclude(self, attempt: Attempt, error: BaseException) -> str:
        """Report a job's outcome, and write it unless its process has done so; return the word for the outcome.

        Raises:
            DatabaseUnavailable: the outcome is unknown; the lease decides.
        """
        status = settled(self._database, attempt.claim)
        if status is not None and status is not JobStatus.RUNNING:
            text = "%s ended as %s before its process did: %s"
            self._logger.info(text, attempt.name, status.title, error)
            if status is JobStatus.CANCELLED:
                self._failure.let_go(attempt)
            return status.title.lower()
        return self._write(attempt, error if status else LeaseLost(str(error))).kind

    def stop_poison(self, attempt: Attempt) -> str:
        """Write that a job failed because its process died too often, and return that outcome's kind.

        The job is not even loaded.

        Raises:
            DatabaseUnavailable: the lease decides.
        """
        return self._failure.conclude(attempt, self._failure.ended(poisoned(attempt.counts.crashes))).kind

    def _write(self, attempt: Attempt, reason: BaseException) -> Outcome:
        """Write and report the outcome of an attempt that `reason` ended; load the job for this."""
        with closing(self._database.session()) as session:
            job = load_claimed(self._source, session, attempt.claim).job
            attempt.loaded_again(job, session)
            session.commit()
            try:
                outcome = outcome_of(reason, job, attempt.counts, 0)
            except BaseException as nonsense:  # the class declares its error types wrongly
                outcome = Failed(nonsense)
            ended = self._failure.judged(attempt, outcome)
            session.rollback()  # the job may have read its rows to judge the error
            return self._failure.conclude(attempt, ended)
