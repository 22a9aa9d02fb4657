"""What all runners have: what they are given, and what became of their jobs."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, NamedTuple

from sqlalchemy.orm import Session
from zope.interface import implementer

from jobcron.database.database import TransactionSource
from jobcron.database.retry import insist
from jobcron.interfaces import IJobRunner
from jobcron.jobs.hand_moves import worker_name
from jobcron.queue.claim import Claimant
from jobcron.queue.feed import Feed, feed_for
from jobcron.queue.loading import Claimed, FeedOrder
from jobcron.queue.views import SourceView
from jobcron.reports.metrics import current_observer
from jobcron.reports.oops import ErrorUtility, globalErrorUtility
from jobcron.runner._progress_line import terminal_progress
from jobcron.runner._telling import Reporter
from jobcron.runner._time_budget import Runtime
from jobcron.runner.application import Application


class Limits(NamedTuple):
    """What bounds a run; see ``configs/schema.conf``."""

    batch_size: int = 100
    crash_limit: int = 3
    grace_seconds: float = 30.0
    max_workers: int = 1
    max_runtime: float | None = None
    typical_seconds: float | None = None  # how long a job took in earlier runs


@implementer(IJobRunner)
class SourceRunner(ABC):
    """Runs the ready jobs of one source; see `JobRunner` for what it is given.

    Attributes:
        reporter: makes the reports, logs and mails.
        observer: told of each job's start and end.
    """

    def __init__(
        self,
        source: Any,
        database: TransactionSource,
        *,
        application: Application | None = None,
        logger: logging.Logger | None = None,
        limits: Limits | None = None,
        errors: ErrorUtility = globalErrorUtility,
    ) -> None:
        self.source = source
        self.source_view = SourceView(source)
        self.database = database
        self.application = application or Application()
        self.logger = logger or logging.getLogger()
        self.limits = limits or Limits()
        self.reporter = Reporter(errors, self.logger)
        self.observer = current_observer()
        self.completed: Counter[str] = Counter()
        self.incomplete: Counter[str] = Counter()
        self._lease_seconds = self.source_view.lease_seconds
        self._feed = self._make_feed()
        self._runtime = Runtime(self.limits.max_runtime, self.limits.typical_seconds)
        self._progress = terminal_progress()

    @property
    def oops_ids(self) -> list[str]:
        """The ids of the reports that this run made."""
        return self.reporter.oops_ids

    @classmethod
    def for_source(
        cls,
        source: Any,
        database: TransactionSource,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> SourceRunner:
        """Return a runner for the ready jobs of `source`; its ``runAll`` runs them.

        Args:
            source: see the class.
            database: see the class.
            logger: see the class.
            options: as of the class.
        """
        return cls(source, database, logger=logger, **options)

    @classmethod
    def runFromSource(
        cls,
        source: Any,
        database: TransactionSource,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> SourceRunner:
        """Run the ready jobs of `source`, and return the runner, which says what became of them.

        Args: as of `for_source`.
        """
        runner = cls.for_source(source, database, logger, **options)
        runner.runAll()
        return runner

    @abstractmethod
    def runAll(self) -> None:
        """Run ready jobs until none is left, or the run is stopped by a signal."""

    def _make_feed(self) -> Feed:
        order = FeedOrder(
            self.source_view,
            self.database,
            Claimant(worker_name(), self._lease_seconds),
            self.limits.batch_size,
            self.limits.crash_limit,
            self.logger,
        )
        return feed_for(order)

    def _take(self, session: Session) -> list[Claimed]:
        """Claim the next jobs; none: none is ready, or the run was asked to stop."""
        failure = "no more jobs could be claimed"
        return insist(session, failure, lambda: self._feed.take(session, self._must_stop))

    @abstractmethod
    def _must_stop(self) -> bool:
        """Tell whether the run was asked to stop."""

    def _show_progress(self) -> None:
        self._progress.show(self.completed.total(), self.incomplete.total())
