"""Delete old data: a frame for an application's own (`Pruning`), and ``jobcron prune`` for ours (LP-31)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import TYPE_CHECKING, ClassVar

from jobcron.reports.plurals import counted
from jobcron.runner.signals import SignalHandlers, if_main_thread, restore_signals, unless_nohup
from jobcron.scripts.cron_script import CronScript
from jobcron.settings.durations import Duration, seconds_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from jobcron.database.database import Database


class StoppableScript(CronScript):
    """A script that SIGTERM and SIGHUP ask to stop; it does between two of its transactions."""

    _is_stopping = False

    @contextmanager
    def _asked_to_stop(self) -> Iterator[None]:
        """Hear inside the block that the script should stop."""
        if not self.in_test:
            restore_signals()
        handlers = unless_nohup({signal.SIGTERM: self._stop, signal.SIGHUP: self._stop})
        with SignalHandlers(if_main_thread(handlers)):
            yield

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True


class Pruning(StoppableScript):
    """Base class for scripts that remove an application's own old rows.

    A subclass defines `prune`. It is called repeatedly, each time in a short transaction of its own, until it
    removes fewer than `batch_size` rows, `max_runtime` is over, or SIGTERM or SIGHUP asks the script to stop. The
    next run removes the rest.
    """

    batch_size: ClassVar[int] = 1000
    """The most rows that one call of `prune` should remove."""

    max_runtime: ClassVar[Duration] = timedelta(hours=1)
    """How long the script may go on calling `prune`."""

    pause: ClassVar[Duration] = 0.0
    """The time between two calls of `prune`, in which the script leaves the database to others."""

    def prune(self, session: Session, limit: int) -> int:
        """Remove at most `limit` rows, and return how many were removed; for subclasses to override.

        Args:
            session: a session in a transaction of its own, which is committed afterwards.
            limit: the value of `batch_size`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no prune()")

    def main(self) -> int | None:
        """Remove in short transactions, until nothing old is left."""
        from jobcron.database.database import Database

        until = time.monotonic() + seconds_of("max_runtime", self.max_runtime)
        pause = seconds_of("pause", self.pause)
        reason = None
        database = Database(self.settings.database_url, origin=self.settings.database_origin)
        with self._asked_to_stop(), closing(database):
            while reason is None and self._prune_once(database) >= self.batch_size:
                time.sleep(pause)
                if self._is_stopping:
                    reason = "Stopped by a signal"
                elif time.monotonic() >= until:
                    reason = "Stopped at the end of its time"
        if self.done:
            self.logger.info("Removed %s.", counted(self.done, "row"))
        if reason is not None:
            self.logger.info("%s; the next run goes on.", reason)
        return 0

    def _prune_once(self, database: Database) -> int:
        """Remove one batch in a transaction, and return how many rows it had."""
        from jobcron.database.sessions import ambient_session, use_session

        if self.in_test and (ambient := ambient_session()) is not None:
            count = self._checked(self.prune(ambient, self.batch_size))
            ambient.flush()
        else:
            with closing(database.session()) as session, use_session(session):
                count = self._checked(self.prune(session, self.batch_size))
                session.commit()
        self.done += count
        return count

    def _checked(self, count: object) -> int:
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            name = type(self).__name__
            raise TypeError(f"expected prune of {name} to return how many rows it removed, got {count!r}")
        return count


class PruneJobs(StoppableScript):
    """Remove finished jobs, events, rows of runs and OOPS reports that are older than the configuration says."""

    control_name = "prune-jobs"

    def __init__(self, test_args: Sequence[str] | None = None) -> None:
        super().__init__(test_args=test_args)
        self.records_runs = not self.options.dry_run
        if self.args:
            self.parser.error(f"expected no arguments, got: {' '.join(self.args)}")

    def add_my_options(self) -> None:
        """Add the option for a dry run."""
        self.parser.add_argument(
            "--dry-run", action="store_true", help="remove nothing, only say how much would be removed"
        )

    @property
    def lock_name(self) -> str:
        """The same name, however the script is started."""
        return self.control_name

    def main(self) -> int | None:
        """Delete in short transactions, until nothing old is left or somebody asks to stop."""
        from jobcron.database.database import Database
        from jobcron.database.version import check_file, check_schema
        from jobcron.scripts._pruning.pruner import Pruner

        settings = self.settings
        database = Database(settings.database_url, origin=settings.database_origin)
        check_file(settings.database_url, database.where)
        with self._asked_to_stop(), closing(database):
            with database.begin(writing=False) as connection:
                check_schema(connection, database.where, self.logger)
            dry_run: bool = self.options.dry_run
            pruner = Pruner(database, settings, self.logger, dry_run, lambda: self._is_stopping)
            pruner.prune()
            self.done = pruner.removed
            if settings.keep_oopses is not None and not self._is_stopping:
                from jobcron.scripts._pruning.pruner import reports_named_by_jobs

                self._prune_reports(settings.keep_oopses, reports_named_by_jobs(database))
        if self._is_stopping:
            self.logger.info("Stopped by a signal; the next run goes on.")
        elif dry_run and not self.done:
            self.logger.info("Would remove nothing: nothing is older than the configuration says.")
        return 0

    def _prune_reports(self, seconds: float, kept: set[str]) -> None:
        from jobcron.errors import DirectoryError
        from jobcron.reports.old_reports import prune_reports

        first = (datetime.now(UTC) - timedelta(seconds=seconds)).date()
        for root in self.settings.report_directories():
            try:
                count = prune_reports(root, first, kept, self.options.dry_run)
            except OSError as error:
                raise DirectoryError(f"the OOPS directory {root} cannot be pruned: {error.strerror}") from error
            if count:
                self.done += count
                done = "Would remove" if self.options.dry_run else "Removed"
                self.logger.info("%s %s OOPS reports in %s.", done, count, root)
