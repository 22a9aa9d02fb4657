"""What a process that gets jobs one by one reports of them as runs do: metrics, and a row of runs."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack

from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.runs import EndedRun, record_run
from jobcron.database.trouble import first_line
from jobcron.errors import DatabaseUnavailable
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.metrics import observed
from jobcron.runner.source_runner import SourceRunner
from jobcron.scripts._section_run import _count_ready
from jobcron.scripts.order import Order

STINT_SECONDS = 10.0
"""How long a stint lasts: a row for each job would soon be as many as jobs."""


class Stint(AbstractContextManager["Stint"]):
    """A stretch of time in which a process runs jobs of one section; it ends as a run does.

    Args:
        order: what would be the order for a run.
        database: where its row is written.
        source: the section's.
    """

    def __init__(self, order: Order, database: TransactionSource, source: object) -> None:
        self._order, self._database, self._source = order, database, source
        self._started = time.monotonic()
        self._observing = ExitStack()
        self._observer = self._observing.enter_context(
            observed(order.settings, order.section.name, self._started, order.logger)
        )
        self._sum = EndedRun(order.section.name, 0.0, 0, 0, 0)

    @property
    def is_over(self) -> bool:
        """Whether it has lasted long enough."""
        return time.monotonic() >= self._started + STINT_SECONDS

    def add(self, runner: SourceRunner) -> None:
        """Count what a runner has done."""
        before = self._sum
        self._sum = before._replace(
            completed=before.completed + runner.completed.total(),
            incomplete=before.incomplete + runner.incomplete.total(),
            oopses=before.oopses + len(runner.oops_ids),
        )

    def __exit__(self, *exc: object) -> None:
        """Write its row and its metrics; a failure is only logged, since the jobs have ended."""
        with self._observing:
            ended = self._sum._replace(seconds=time.monotonic() - self._started)
            if not (ended.completed or ended.incomplete):
                return
            self._observer.succeeded = True
            _count_ready(self._database, self._order, self._source, self._observer)
            try:
                with self._database.begin() as connection:
                    record_run(connection, ended, self._order.settings.activity_interval)
            except (DBAPIError, DatabaseUnavailable) as error:
                text = "The row of this run could not be written: %s"
                self._order.logger.warning(text, first_line(error), extra=NO_OOPS)
