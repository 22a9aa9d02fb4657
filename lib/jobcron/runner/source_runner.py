"""The common base of all runners: their arguments, and the counts of their jobs."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from sqlalchemy.orm import Session
from zope.interface import implementer

from jobcron.database.database import TransactionSource
from jobcron.database.retry import retry_in_session
from jobcron.database.statements import read_statements
from jobcron.interfaces import DEFAULT_CRASH_LIMIT, IJobRunner
from jobcron.jobs.lease import Claim, Tenure, worker_name
from jobcron.queue.claim import Claimant
from jobcron.queue.feed import Feed, feed_for
from jobcron.queue.loading import Claimed, FeedOrder
from jobcron.queue.outcome import Outcome
from jobcron.queue.views import RunnableView, SourceView
from jobcron.reports.metrics import current_observer
from jobcron.reports.oops import ErrorUtility, globalErrorUtility
from jobcron.reports.progress_line import terminal_progress
from jobcron.runner._clock import Runtime
from jobcron.runner._telling import Reporter
from jobcron.runner.application import Application
from jobcron.runner.failure import FailureHandler


class Limits(NamedTuple):
    """The limits of a run; see ``configs/schema.conf``. The tenure says whose jobs the run takes over at once."""

    batch_size: int = 100
    crash_limit: int = DEFAULT_CRASH_LIMIT
    grace_seconds: float = 30.0
    max_workers: int = 1
    max_runtime: float | None = None
    typical_seconds: float | None = None  # how long a job took in earlier runs
    tenure: Tenure | None = None
    wait_for_code: float | None = None
    section: str = ""  # whose pauses hold
    channel: str = ""  # of the section's jobs that have none themselves


class JobEnd(NamedTuple):
    """The end of an attempt.

    Attributes:
        claim: the job's claim.
        outcome: the outcome as it was written.
        seconds: how long the attempt took.
        oops_ids: the ids of its reports.
    """

    claim: Claim
    outcome: Outcome
    seconds: float
    oops_ids: list[str]


class Guard:
    """Accompanies the jobs of a run besides its keeper; this base class does nothing.

    The process of isolated jobs has a guard, and so have ``jobcron runscheduledjobs`` and a worker's processes.

    Attributes:
        knows_of_more: whether `waits_for_more` may have ended for jobs of dead processes or expired jobs, too.
        hears_of_jobs: whether `waits_for_more` also ends for a job that was created before it was called.
    """

    knows_of_more = True
    hears_of_jobs = False

    def run_begins(self) -> None:
        """Called when the source's own context has been entered and signals are being received."""

    def before_claim(self, must_stop: Callable[[], bool]) -> None:
        """Called before jobs are claimed, outside any transaction.

        Args:
            must_stop: returns whether the run was asked to stop.
        """

    def waits_for_more(self, must_stop: Callable[[], bool]) -> bool:
        """Called when no job is ready, outside any transaction: wait for one and return True, or end the run.

        Args:
            must_stop: returns whether the run was asked to stop.
        """
        return False

    def job_begins(self) -> None:
        """Called when an attempt begins."""

    def around(self, job: RunnableView) -> AbstractContextManager[object]:
        """Return the context manager to enter around the job's ``run``, and around its failure hook."""
        return nullcontext()

    def job_returned(self, *, cleans_up: bool) -> None:
        """Called when the job's ``run`` has ended.

        Args:
            cleans_up: whether the job has failed and its failure hook is called next.
        """

    def confirms_stop(self) -> bool:
        """Return whether a signal really asked the run to stop, and was not sent by the job itself."""
        return True

    def job_ended(self, end: JobEnd) -> None:
        """Called when the outcome of an attempt is written and reported."""


@implementer(IJobRunner)
class SourceRunner(ABC):
    """Runs the ready jobs of one source; see `JobRunner` for its arguments.

    Attributes:
        reporter: makes the reports, logs and mails.
        failure: handles attempts that did not succeed.
        observer: notified of each job's start and end.
        source_view: the source, with a default for every missing attribute.
        lease_seconds: how long a claim lasts.
        feed: hands out the jobs.
        runtime: the run's remaining time.
        progress: shows the progress of the run.
        was_stopped: whether a signal asked the run to stop.
        waited: for how many seconds its jobs had been ready when they were claimed, all of them together.
        ran: how many seconds its jobs took, all of them together.
    """

    was_stopped = False

    def __init__(
        self,
        source: object,
        database: TransactionSource,
        *,
        application: Application | None = None,
        logger: logging.Logger | None = None,
        limits: Limits | None = None,
        errors: ErrorUtility = globalErrorUtility,
        feed: Feed | None = None,
    ) -> None:
        read_statements(database.dialect)
        self.source = source
        self.source_view = SourceView(source)
        self.database = database
        self.application = application or Application()
        self.logger = logger or logging.getLogger()
        self.limits = limits or Limits()
        self.reporter = Reporter(errors, self.logger)
        self.failure = FailureHandler(database, self.reporter, self.application.context, self.limits.channel)
        self.observer = current_observer()
        self.completed: Counter[str] = Counter()
        self.incomplete: Counter[str] = Counter()
        self.waited = self.ran = 0.0
        self.lease_seconds = self.source_view.lease_seconds
        self.feed = feed or feed_for(self._feed_order())
        self.runtime = Runtime(self.limits.max_runtime, self.limits.typical_seconds)
        self.progress = terminal_progress()

    @property
    def oops_ids(self) -> list[str]:
        """The ids of the reports that this run made."""
        return self.reporter.oops_ids

    @classmethod
    def for_source(
        cls,
        source: object,
        database: TransactionSource,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> SourceRunner:
        """Return a runner for the ready jobs of `source`; its ``runAll`` runs them.

        Args:
            source: see the class.
            database: see the class.
            logger: see the class.
            options: as for the class.
        """
        return cls(source, database, logger=logger, **options)

    @classmethod
    def runFromSource(
        cls,
        source: object,
        database: TransactionSource,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> SourceRunner:
        """Run the ready jobs of `source`, and return the runner, which has the counts.

        Args: as for `for_source`.
        """
        runner = cls.for_source(source, database, logger, **options)
        runner.runAll()
        return runner

    @abstractmethod
    def runAll(self) -> None:
        """Run ready jobs until none is left, or the run is stopped by a signal."""

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """Claim the next jobs; return none if none is ready, or if the run was asked to stop.

        Args:
            session: the session to load them in.
            must_stop: returns whether the run was asked to stop.
        """
        failure = "no more jobs could be claimed"
        return retry_in_session(session, failure, lambda: self.feed.take(session, must_stop))

    def count(self, class_name: str, *, is_completed: bool, waited: float | None, seconds: float) -> None:
        """Count a job that has ended.

        Args:
            class_name: the name of its class.
            is_completed: whether it completed.
            waited: how many seconds it was ready before it was claimed; None: unknown.
            seconds: how long it took.
        """
        (self.completed if is_completed else self.incomplete)[class_name] += 1
        self.waited += waited or 0.0
        self.ran += seconds

    def show_progress(self) -> None:
        """Show the number of ended jobs to a person at a terminal."""
        if self.progress.is_shown:
            self.progress.show(self.completed.total(), self.incomplete.total())

    @property
    def claimant(self) -> Claimant:
        """Who claims jobs in this run."""
        tenure = self.limits.tenure or Tenure(worker_name())
        limits = self.limits
        gone, section, channel = tenure.gone, limits.section, limits.channel
        return Claimant(tenure.name, self.lease_seconds, limits.crash_limit, gone, section, channel, tenure.lease)

    def has_lost_section(self) -> bool:
        """Return whether the run has lost the section's lease, or is about to lose it, to another run."""
        lease = None if self.limits.tenure is None else self.limits.tenure.lease
        return lease is not None and lease.is_lost

    def _feed_order(self) -> FeedOrder:
        batch_size, crash_limit = self.limits.batch_size, self.limits.crash_limit
        return FeedOrder(self.source_view, self.database, self.claimant, batch_size, crash_limit, self.logger)
