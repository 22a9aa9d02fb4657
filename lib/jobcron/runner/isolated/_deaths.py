"""What became of a job whose child process died or was ended, and did not say so itself."""

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
    """Finds out and writes what became of jobs without a process.

    Args:
        database: where the jobs are.
        source: whose jobs they are.
        failure: does what follows an attempt that did not succeed.
        logger: of the script.
    """

    def __init__(
        self, database: TransactionSource, source: SourceView, failure: FailureHandler, logger: logging.Logger
    ) -> None:
        self._database = database
        self._source = source
        self._failure = failure
        self._logger = logger

    def conclude(self, attempt: Attempt, error: BaseException) -> str:
        """Write what became of a job, unless its process had, and tell of it; return the word for it.

        Raises:
            DatabaseUnavailable: nobody knows what became of it; the lease decides.
        """
        status = settled(self._database, attempt.claim)
        if status is not None and status is not JobStatus.RUNNING:
            text = "%s ended as %s before its process did: %s"
            self._logger.info(text, attempt.name, status.title, error)
            return status.title.lower()
        return self._write(attempt, error if status else LeaseLost(str(error))).kind

    def stop_poison(self, attempt: Attempt) -> None:
        """Write that a job has failed whose process died too often; it is not even loaded.

        Raises:
            DatabaseUnavailable: the lease decides.
        """
        self._failure.conclude(attempt, self._failure.ended(poisoned(attempt.counts.crashes)))

    def _write(self, attempt: Attempt, reason: BaseException) -> Outcome:
        """Write the outcome of an attempt that `reason` ended, and tell of it; the job is loaded here for that."""
        with closing(self._database.session()) as session:
            job = load_claimed(self._source, session, attempt.claim).job
            attempt.loaded_again(job, session)
            session.commit()
            try:
                outcome = outcome_of(reason, job, attempt.counts, 0)
            except BaseException as nonsense:  # what the class says of its errors makes no sense
                outcome = Failed(nonsense)
            ended = self._failure.ended(outcome)
            session.rollback()  # the job may have looked at its rows, to say what its errors mean
            return self._failure.conclude(attempt, ended)
