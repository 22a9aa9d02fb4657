"""Scripts for cron: options, log, lock, exit status (LP-12, LP-14 to LP-16, LP-18).

Imports are late on purpose: a tick with nothing to do loads no ORM, no zope, no lazr.config, no application and
no logging.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time

from jobcron import instance
from jobcron.errors import ConfigurationError
from jobcron.settings import LEVELS

TYPE_CHECKING = False

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from jobcron.profiling import ProfileFile
    from jobcron.settings import Section, Settings

INFO, WARNING, LEVEL_STEP = 20, 30, 10

DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""Errors of the machine, which no option can mend."""


def log_file(text: str) -> tuple[int, str]:
    """Return the level and the path that ``--log-file`` names; without a level it is INFO."""
    level, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        level, path = "INFO", text
    if level.upper() not in LEVELS or not path or "\0" in path:
        raise argparse.ArgumentTypeError(
            f"expected LEVEL:FILE with one of {', '.join(LEVELS)}, or a file alone, got: {text!r}"
        )
    return LEVELS[level.upper()], path


def profile_file(path: str) -> ProfileFile:
    """Return the file that ``--profile`` names, open for writing."""
    from jobcron.profiling import open_profile

    try:
        return open_profile(path)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f"expected a file that can be written, got: {path!r}: {getattr(error, 'strerror', None) or error}"
        ) from error


class CommandLine(argparse.ArgumentParser):
    """A parser whose complaints cost no status where standard error cannot be written."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave with status 2."""
        from jobcron.logs import complain

        complain(f"{self.format_usage()}{self.prog}: error: {message}")
        sys.exit(2)


class CronScript:
    """A script that cron runs: parses options, takes a lock, does its work in `main`, leaves with a status.

    Args:
        name: of the script, in messages; by default that of the program.
        test_args: arguments of a test, instead of the command line's.
        logger: used instead of the log on standard error.

    Attributes:
        options: the parsed options.
        args: the positional arguments.
    """

    description = ""
    usage = "%(prog)s [options]"

    takes_lock = True
    """Whether there may be one run at a time only, by `lock_name`."""

    lock_held_level = WARNING
    """At which level a held lock is told: no error, a run may well last longer than cron waits."""

    def __init__(
        self,
        name: str | None = None,
        test_args: Sequence[str] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        self.started = time.monotonic()
        self.in_test = test_args is not None
        self._logger = logger
        self._settings: Settings | None = None
        program = name or os.path.basename(sys.argv[0])
        self.parser = CommandLine(
            prog=program,
            usage=self.usage,
            description=self.description or type(self).__doc__,
            # A fixed width: asking the terminal's loads modules that only this would use.
            formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
        )
        add = self.parser.add_argument
        add("args", nargs="*", help=argparse.SUPPRESS)
        add("--config", metavar="INSTANCE", help="an instance's directory, or its name in configs/")
        add("-v", "--verbose", action="count", default=0, help="say more; may be repeated")
        add("-q", "--quiet", action="count", default=0, help="say less; may be repeated")
        add(
            "--log-file",
            metavar="LEVEL:FILE",
            type=log_file,
            help="append the log from LEVEL on to a file as well",
        )
        add(
            "--profile",
            metavar="FILE",
            type=profile_file,
            help="write where the time goes to a file, for python -m pstats",
        )
        self.add_my_options()
        self.options = self.parser.parse_args(test_args)
        self.args: list[str] = self.options.args

    def add_my_options(self) -> None:
        """Add options to `parser`; for subclasses."""

    def main(self) -> int | None:
        """Do the work; for subclasses. Return an exit status, or None for 0."""
        raise NotImplementedError(f"{type(self).__name__} has no main()")

    @property
    def settings(self) -> Settings:
        """The instance's settings.

        Raises:
            ConfigurationError: something is wrong with it.
        """
        if self._settings is None:
            self._settings = instance.load_settings(self.options.config)
        return self._settings

    @property
    def logger(self) -> logging.Logger:
        """The script's log; set up when it is first used."""
        if self._logger is None:
            from jobcron.logs import add_log_file, set_up_log
            from jobcron.redact import hide

            hide(self._settings.secrets() if self._settings is not None else ())
            level = max(1, INFO + LEVEL_STEP * (self.options.quiet - self.options.verbose))
            with_time = self._settings is None or not self._settings.instance.startswith("testrunner")
            self._logger = set_up_log(level, with_time)
            if self.options.log_file is not None:
                level, path = self.options.log_file
                add_log_file(level, path, "--log-file")  # what it raises is logged on standard error
            if self._settings is not None and self._settings.oops_level is not None:
                from jobcron.alarm import set_alarm

                set_alarm(self._logger, self._settings, self.parser.prog)
        return self._logger

    @logger.setter
    def logger(self, logger: logging.Logger) -> None:
        self._logger = logger

    @property
    def lock_name(self) -> str:
        """The name of the lock, one run at a time for each, and of the script in the control file."""
        return self.parser.prog.removesuffix(".py")

    def lock_and_run(self) -> None:
        """Take the lock, do `main`, and leave: with `SystemExit` where the status is not 0."""
        status = self._guarded()
        if status:
            sys.exit(status)

    def _guarded(self) -> int:
        """Return the exit status; errors become messages, and reports where they are nobody's mistake."""
        try:
            from jobcron.directory import private_directory

            settings = self.settings
            private_directory(settings.state_dir, f"{settings.place('state_dir')}: the state directory")
            return self._run_alone(settings) if self.takes_lock else self._run(settings)
        except (Exception, KeyboardInterrupt) as error:
            from jobcron.ending import status_of

            return status_of(self, error)

    def _run_alone(self, settings: Settings) -> int:
        """Take the lock and do the work under it."""
        from jobcron.lock import RunLock

        lock = RunLock(settings.lock_dir, self.lock_name, f"{settings.place('lock_dir')}: the lock directory")
        lock.acquire()
        try:
            return self._run(settings)
        finally:
            lock.release()

    def _run(self, settings: Settings) -> int:
        """Do the work, unless the script is switched off."""
        self._check_log_file()
        if not self._is_enabled(settings):
            return 0
        with instance.presented(settings):
            if self.options.profile is None:
                status = self.main()
            else:
                from jobcron.profiling import profiled

                status = profiled(self.main, self.options.profile, self.logger)
        if os.path.lexists(self.outage_file):
            from jobcron.ending import tell_return

            tell_return(self)
        return status or 0

    def _check_log_file(self) -> None:
        """Open the log file at once: the log is set up where there is something to say, perhaps in weeks.

        Raises:
            ConfigurationError: it cannot be opened, and nothing but the option is to blame.
        """
        if self.options.log_file is None or self._logger is not None:
            return
        from jobcron.directory import open_log
        from jobcron.errors import DirectoryError

        try:
            os.close(open_log(os.path.abspath(self.options.log_file[1]), "--log-file"))
        except DirectoryError as error:
            if getattr(error.__cause__, "errno", None) in DISK_TROUBLE:
                return  # met again, with another status, where there is something to say
            raise ConfigurationError(str(error)) from error

    def _is_enabled(self, settings: Settings) -> bool:
        """Ask the control file, and log what it says where that is of interest."""
        if settings.cron_control is None:
            return True
        from jobcron.control import Control

        verdict = Control(settings.cron_control).ask(self.lock_name)
        if verdict.is_problem:
            from jobcron.logs import TOLD

            self.logger.error("%s", verdict.reason, extra=TOLD)
        elif not verdict.is_enabled:
            self.logger.info("%s", verdict.reason)
        elif self.options.verbose or (self.options.log_file and self.options.log_file[0] < INFO):
            # else the log is not even set up
            self.logger.debug("%s", verdict.reason)
        return verdict.is_enabled

    @property
    def outage_file(self) -> str:
        """The file that is there while the script finds its database away."""
        return self.settings.outage_file(self.lock_name)


class JobCronScript(CronScript):
    """Run the ready jobs of a section of the configuration.

    Three ways: ``run_jobs.py do_foo`` (`commandline_config`), a subclass with `config_name` and
    `source_interface`, and a test with `test_args`.

    Args:
        runner_class: how jobs are run; by default what the section says.
        test_args: arguments of a test. Inside `jobcron.testing.use_session` the script then works in the test's
            own transaction; elsewhere it sees committed rows only.
        name: see `CronScript`.
        commandline_config: the section is named on the command line.
        logger: see `CronScript`.
    """

    description = "Run the ready jobs of a section of the configuration, those of one source, until none is left."

    config_name: str | None = None
    """The section of the configuration; for subclasses."""

    source_interface: Any = None
    """The interface of the source, or the job class; for subclasses. By default what the section says."""

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
        """The database role of the section, or None for the URL's user."""
        return self.section.dbuser

    @property
    def lock_name(self) -> str:
        """The section's name, once it is known to be one."""
        return self.section.name

    def main(self) -> int | None:
        """Run the ready jobs, and log how many were run of each class."""
        if not self._may_have_work():
            return 0
        from jobcron.imports import ImportsForGood

        is_first = "jobcron.jobrun" not in sys.modules  # a process may run a script again and again
        is_ours = is_first and not self.in_test
        with ImportsForGood(is_ours=is_ours):
            from jobcron.jobrun import Order, run_section
            from jobcron.sessions import ambient_session

        order = Order(
            settings=self.settings,
            section=self.section,
            wanted=self.source_interface,
            runner_class=self.runner_class,
            dbuser=self.dbuser,
            logger=self.logger,
            started=self.started,
            session=ambient_session() if self.in_test else None,
            imports_for_good=is_ours,
        )
        with instance.presented(self.settings):
            runner = run_section(order)
        failed = runner.incomplete.total() > 0
        return 1 if failed and self.options.fail_on_job_failure else 0

    def _may_have_work(self) -> bool:
        if self.in_test:
            return True
        from jobcron.tick import may_have_work

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
        module = getattr(wanted, "__module__", None)
        name = getattr(wanted, "__qualname__", None) or getattr(wanted, "__name__", None)
        return f"{module}.{name}" if module and name else None
