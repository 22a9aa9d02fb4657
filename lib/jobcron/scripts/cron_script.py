"""Scripts for cron: options, log, lock, exit status (LP-12, LP-14 to LP-16, LP-18).

Imports are deliberately late: a tick with nothing to do loads no ORM, no zope, no lazr.config, no application
and no logging.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time

from jobcron.errors import ConfigurationError
from jobcron.scripts.options import CommandLine, log_file, profile_file
from jobcron.settings import instance
from jobcron.settings.settings import LEVEL_STEP, LEVELS

TYPE_CHECKING = False

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from jobcron.scripts.locks.lock import RunLock
    from jobcron.settings.settings import Settings

DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""Errors of the machine, which no option can fix."""


class CronScript:
    """A script for cron: it parses its options, takes a lock, does its work in `main` and exits with a status.

    Args:
        name: the script's name in messages; by default the program's.
        test_args: the arguments of a test, used instead of the command line.
        logger: the logger to use instead of a log on standard error.

    Attributes:
        options: the parsed options.
        args: the positional arguments.
        done: how many things the run has done, for `main` to set; what is counted is up to the script.
    """

    description = ""
    usage = "%(prog)s [options]"

    takes_lock = True
    """Whether only one run with this `lock_name` may go on at a time."""

    records_runs = True
    """Whether runs that end with status 0 are recorded, for `jobcron runs`, `jobcron check-runs` and metrics. Each
    run whose `done` is not 0 gets a row; of the others, one in each ``activity_interval`` does."""

    has_own_help = False
    """Whether `add_my_options` adds ``--help``."""

    lock_held_level = LEVELS["WARNING"]
    """The level at which a held lock is logged: not an error, since a run may take longer than cron's interval."""

    def __init__(
        self,
        name: str | None = None,
        test_args: Sequence[str] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        self.started = time.monotonic()
        self.in_test = test_args is not None
        self.done = 0
        self._logger = logger
        self._settings: Settings | None = None
        self._lock: RunLock | None = None
        program = name or os.path.basename(sys.argv[0])
        self.parser = CommandLine(
            prog=program,
            usage=self.usage,
            description=self.description or type(self).__doc__,
            add_help=not self.has_own_help,
            # A fixed width: finding the terminal's loads modules that only this would use.
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
            help="also append the log, from LEVEL up, to a file",
        )
        add("--named", help=argparse.SUPPRESS)  # in its log, as one of several: see `jobcron.scripts.instances`
        add(
            "--profile",
            metavar="FILE",
            type=profile_file,
            help="write a profile of the run to a file, for python -m pstats",
        )
        self.add_my_options()
        self.options = self.parser.parse_args(test_args)
        self.args: list[str] = self.options.args

    def add_my_options(self) -> None:
        """Add options to `parser`; for subclasses to override."""

    def main(self) -> int | None:
        """Do the work; for subclasses to override. Return an exit status, or None for 0."""
        raise NotImplementedError(f"{type(self).__name__} has no main()")

    @property
    def settings(self) -> Settings:
        """The instance's settings.

        Raises:
            ConfigurationError: the instance is wrong.
        """
        if self._settings is None:
            self._settings = instance.load_settings(self.options.config)
        return self._settings

    @property
    def logger(self) -> logging.Logger:
        """The script's log; set up at its first use."""
        if self._logger is None:
            from jobcron.reports.logs import add_log_file, set_up_log
            from jobcron.settings.secrets import hide

            hide(self._settings.secrets() if self._settings is not None else ())
            level = max(1, LEVELS["INFO"] + LEVEL_STEP * (self.options.quiet - self.options.verbose))
            with_time = self._settings is None or not self._settings.instance.startswith("testrunner")
            self._logger = set_up_log(level, with_time, self.options.named)
            if self.options.log_file is not None:
                level, path = self.options.log_file
                add_log_file(level, path, "--log-file", self.options.named)  # logs its errors on standard error
            if self._settings is not None and self._settings.oops_level is not None:
                from jobcron.reports.alarm import set_alarm

                set_alarm(self._logger, self._settings, self.parser.prog)
        return self._logger

    @logger.setter
    def logger(self, logger: logging.Logger) -> None:
        self._logger = logger

    @property
    def lock_name(self) -> str:
        """The name of the lock, which one run holds at a time; also the script's name in the control file."""
        return self.parser.prog.removesuffix(".py")

    def lock_and_run(self) -> None:
        """Take the lock and call `main`; raise `SystemExit` if the exit status is not 0."""
        _open_standard_descriptors()
        status = self._guarded()
        if status:
            sys.exit(status)

    def _guarded(self) -> int:
        """Return the exit status; log errors, and report them unless they are a user's mistake."""
        try:
            from jobcron.settings.directories import private_directory

            settings = self.settings
            private_directory(settings.state_dir, f"{settings.place('state_dir')}: the state directory")
            return self._run_alone(settings) if self.takes_lock else self._run(settings)
        except (Exception, KeyboardInterrupt) as error:
            from jobcron.scripts._endings import exit_status_of

            return exit_status_of(self, error)

    def _run_alone(self, settings: Settings) -> int:
        """Take the lock, and do the work under it."""
        lock = self._new_lock(settings, f"{settings.place('lock_dir')}: the lock directory")
        lock.acquire()
        self._lock = lock
        try:
            return self._run(settings)
        finally:
            self._lock = None
            lock.release()

    def _new_lock(self, settings: Settings, what: str) -> RunLock:
        from jobcron.scripts.locks.lock import RunLock

        return RunLock(settings.lock_dir, self.lock_name, what)

    def _run(self, settings: Settings) -> int:
        """Do the work, unless the script is switched off."""
        self._check_log_file()
        if not self._is_enabled(settings):
            return 0
        with instance.presented(settings):
            work = self.main
            if self.records_runs and not self.in_test:
                from jobcron.scripts._endings import recorded

                work = recorded(self)
            if self.options.profile is None:
                status = work()
            else:
                from jobcron.scripts._profiling import profiled

                status = profiled(work, self.options.profile, self.logger)
        if os.path.lexists(self.outage_file):
            from jobcron.scripts._endings import end_outage

            end_outage(self)
        return status or 0

    def _check_log_file(self) -> None:
        """Open the log file at once: the log is set up only when there is something to log, perhaps in weeks.

        Raises:
            ConfigurationError: it cannot be opened, and only the option is to blame.
        """
        if self.options.log_file is None or self._logger is not None:
            return
        from jobcron.errors import DirectoryError
        from jobcron.settings.directories import open_log

        try:
            os.close(open_log(os.path.abspath(self.options.log_file[1]), "--log-file"))
        except DirectoryError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_TROUBLE:
                return  # this recurs, with another status, when there is something to log
            raise ConfigurationError(str(error)) from error

    def _is_enabled(self, settings: Settings) -> bool:
        """Ask the control file, and log its answer if it is of interest."""
        if settings.cron_control is None:
            return True
        from jobcron.scripts.control import Control

        verdict = Control(settings.cron_control).ask(self.lock_name)
        if verdict.is_problem:
            from jobcron.reports.logs import NO_OOPS

            self.logger.error("%s", verdict.reason, extra=NO_OOPS)
        elif not verdict.is_enabled:
            self.logger.info("%s", verdict.reason)
        elif self.options.verbose or (self.options.log_file and self.options.log_file[0] < LEVELS["INFO"]):
            # otherwise the log is not even set up
            self.logger.debug("%s", verdict.reason)
        return verdict.is_enabled

    @property
    def outage_file(self) -> str:
        """The file that exists while the script finds its database unavailable."""
        return self.settings.outage_file(self.lock_name)


def _open_standard_descriptors() -> None:
    """Open the null device for each of the descriptors 0 to 2 that whoever started this has closed.

    Else the lock or the connection to the database gets the number, and whatever prints writes into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
            os.set_inheritable(number, True)
