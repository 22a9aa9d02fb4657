"""The script that runs the jobs of one section."""

from __future__ import annotations

import sys

from jobcron.errors import ConfigurationError
from jobcron.scripts.cron_script import CronScript
from jobcron.settings import instance

TYPE_CHECKING = False

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence
    from typing import Any

    from jobcron.settings.settings import Section


class JobCronScript(CronScript):
    """Run the ready jobs of a section of the configuration.

    There are three ways to use it: ``run_jobs.py do_foo`` (`commandline_config`), a subclass with
    `config_name` and `source_interface`, and a test with `test_args`.

    Args:
        runner_class: the runner for the jobs; by default the section's.
        test_args: a test's arguments. Inside `jobcron.testing.use_session`, the script works in the test's own
            transaction; elsewhere it sees only committed rows.
        name: see `CronScript`.
        commandline_config: whether the command line names the section.
        logger: see `CronScript`.
    """

    description = "Run the ready jobs of a section of the configuration, those of one source, until none is left."

    config_name: str | None = None
    """The section of the configuration; for subclasses to set."""

    source_interface: Any = None
    """The interface of the source, or the job class; for subclasses to set. By default the section's."""

    def __init__(
        self,
        runner_class: Any = None,
        test_args: Sequence[str] | None = None,
        name: str | None = None,
        commandline_config: bool = False,
        logger: logging.Logger | None = None,
    ) -> None:
        if commandline_config:
            self.usage = "%(prog)s [options] SECTION"
        self.runner_class = runner_class
        super().__init__(name, test_args, logger)
        if commandline_config:
            if len(self.args) != 1:
                found = " ".join(self.args) or "none"
                self.parser.error(f"expected the name of one section of the configuration, got: {found}")
            self.config_name = self.args[0]
        elif self.args:
            self.parser.error(f"expected no arguments, got: {' '.join(self.args)}")

    def add_my_options(self) -> None:
        """Add the options of a run."""
        self.parser.add_argument(
            "--fail-on-job-failure",
            action="store_true",
            help="leave with status 1 where a job did not complete",
        )

    @property
    def section(self) -> Section:
        """The section of the configuration.

        Raises:
            ConfigurationError: there is no such section.
        """
        if self.config_name is None:
            raise ConfigurationError(f"expected {type(self).__name__} to set config_name, it does not")
        return self.settings.section(self.config_name)

    @property
    def dbuser(self) -> str | None:
        """The section's database role, or None for the URL's user."""
        return self.section.dbuser

    @property
    def lock_name(self) -> str:
        """The section's name, once the section is known to exist."""
        return self.section.name

    def main(self) -> int | None:
        """Run the ready jobs, and log how many of each class were run."""
        if not self._may_have_work():
            return 0
        from jobcron.runner.garbage import ImportsForGood

        is_first = "jobcron.scripts._section_run" not in sys.modules  # a process may run a script again and again
        with instance.presented(self.settings):  # again, since tests call main() directly
            with ImportsForGood(is_ours=is_first and not self.in_test):
                from jobcron.database.sessions import ambient_session
                from jobcron.scripts._section_run import import_application, run_section
                from jobcron.scripts.order import Order

                order = Order(
                    settings=self.settings,
                    section=self.section,
                    wanted=self.source_interface,
                    runner_class=self.runner_class,
                    dbuser=self.dbuser,
                    logger=self.logger,
                    started=self.started,
                    session=ambient_session() if self.in_test else None,
                )
                application = import_application(order.settings, order.section)
            runner = run_section(order, application)
        failed = runner.incomplete.total() > 0
        return 1 if failed and self.options.fail_on_job_failure else 0

    def _may_have_work(self) -> bool:
        if self.in_test:
            return True
        from jobcron.queue.tick import may_have_work

        source = self._source_name()
        if source is None:
            return True
        settings = self.settings
        return may_have_work(
            settings.database_url,
            self.dbuser,
            source,
            self.section.name,
            settings.activity_interval,
        )

    def _source_name(self) -> str | None:
        wanted = self.source_interface
        if wanted is None:
            return self.section.source_interface
        from jobcron.settings.named import dotted_name

        return dotted_name(wanted)
