"""``jobcron prune`` and ``prune_jobs.py``: delete old data, as the configuration says (LP-31)."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import FrameType

from jobcron.runner.signals import SignalHandlers
from jobcron.scripts.cron_script import CronScript


class PruneJobs(CronScript):
    """Remove finished jobs, events, rows of runs and OOPS reports that are older than the configuration says."""

    control_name = "prune-jobs"

    def __init__(self, test_args: Sequence[str] | None = None) -> None:
        self._is_stopping = False
        super().__init__(test_args=test_args)
        if self.args:
            self.parser.error(f"expected no arguments, got: {' '.join(self.args)}")

    def add_my_options(self) -> None:
        """Add the option for a dry run."""
        self.parser.add_argument("--dry-run", action="store_true", help="remove nothing, only say how much it is")

    @property
    def lock_name(self) -> str:
        """The same name, however the script is started."""
        return self.control_name

    def main(self) -> int | None:
        """Delete in short transactions, until nothing old is left or somebody asks to stop."""
        from jobcron.database.database import Database
        from jobcron.database.version import check_schema
        from jobcron.scripts._pruner import Pruner

        settings = self.settings
        database = Database(settings.database_url, origin=settings.database_origin)
        with SignalHandlers({signal.SIGTERM: self._stop}), closing(database):
            with database.begin(writing=False) as connection:
                check_schema(connection, database.where, self.logger)
            dry_run: bool = self.options.dry_run
            Pruner(database, settings, self.logger, dry_run, lambda: self._is_stopping).prune()
            if settings.keep_oopses is not None and not self._is_stopping:
                from jobcron.scripts._pruner import reports_named_by_jobs

                self._prune_reports(settings.keep_oopses, reports_named_by_jobs(database))
        if self._is_stopping:
            self.logger.info("Stopped by SIGTERM; the next run goes on.")
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
                done = "Would remove" if self.options.dry_run else "Removed"
                self.logger.info("%s %s OOPS reports in %s.", done, count, root)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True
