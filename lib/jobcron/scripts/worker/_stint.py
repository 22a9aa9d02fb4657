"""What a process that gets jobs one by one reports of them as runs do: metrics, and a row of runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.runs import EndedRun, record_run
from jobcron.database.trouble import first_line
from jobcron.errors import DatabaseUnavailable
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.metrics import observed_by, observer_of
from jobcron.runner.source_runner import SourceRunner
from jobcron.scripts._section_run import _count_ready
from jobcron.scripts.order import Order

STINT_SECONDS = 10.0
"""How long a stint lasts: a row for each job would soon be as many as jobs."""


class Stint:
    """A stretch of time in which a process runs jobs of one section; it ends as a run does.

    Args:
        order: what would be the order for a run.
        database: where its row is written.
        source: the section's.

    Attributes:
        ends: when it is to be written, in seconds of the monotonic clock.
    """

    def __init__(self, order: Order, database: TransactionSource, source: object) -> None:
        self._order, self._database, self._source = order, database, source
        self.ends = time.monotonic() + STINT_SECONDS
        self._observer = observer_of(order.settings, order.section.name, order.logger)
        self._sum = EndedRun(order.section.name, 0.0, 0, 0, 0, 0.0, 0.0)

    def observing(self) -> AbstractContextManager[None]:
        """Report what happens inside the block to the instance's listeners."""
        return observed_by(self._observer)

    def add(self, runner: SourceRunner, seconds: float) -> None:
        """Count what a runner has done, and how long it took; the time between jobs is not a run's."""
        completed, incomplete = runner.completed.total(), runner.incomplete.total()
        if not (completed or incomplete):
            return
        before = self._sum
        self._sum = before._replace(
            seconds=before.seconds + seconds,
            completed=before.completed + completed,
            incomplete=before.incomplete + incomplete,
            oopses=before.oopses + len(runner.oops_ids),
            waited=(before.waited or 0.0) + runner.waited,
            ran=(before.ran or 0.0) + runner.ran,
        )

    def end(self) -> None:
        """Write its row and its metrics; a failure is only logged, since the jobs have ended."""
        ended = self._sum
        is_fine = False
        try:
            if ended.completed or ended.incomplete:
                _count_ready(self._database, self._order, self._source, self._observer)
                self._record(ended)
                is_fine = True
        finally:
            self._observer.run_ended(ended.seconds, is_fine)

    def _record(self, ended: EndedRun) -> None:
        try:
            with self._database.begin() as connection:
                record_run(connection, ended, self._order.settings.activity_interval)
        except (DBAPIError, DatabaseUnavailable) as error:
            text = "The row of this run could not be written: %s"
            self._order.logger.warning(text, first_line(error), extra=NO_OOPS)


class Clock:
    """Calls something at a time, in a thread that is there only while no job runs: a job has the process alone.

    Args:
        due: returns when to call next, in seconds of the monotonic clock; None: there is nothing to wait for.
        call: is called then, in the thread.
    """

    # why: decisions 2026-11-30, a stint ends by the clock

    def __init__(self, due: Callable[[], float | None], call: Callable[[], None]) -> None:
        self._due, self._call = due, call
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to wait, if there is something to wait for."""
        if self._due() is not None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._wait, name="jobcron-stints", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Wait no longer; return when no call goes on."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopped.set()
            thread.join()

    def _wait(self) -> None:
        while (due := self._due()) is not None and not self._stopped.wait(max(0.0, due - time.monotonic())):
            self._call()
