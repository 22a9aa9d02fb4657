"""The script that runs the jobs of a section, or of several, one after the other."""

from __future__ import annotations

import sys
import time

from jobcron.errors import ConfigurationError, LockHeld
from jobcron.scripts.cron_script import CronScript
from jobcron.settings import instance

TYPE_CHECKING = False

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Sequence

    from jobcron.jobs.lease import Tenure
    from jobcron.reports.ping import Ping
    from jobcron.scripts._section_run import Crew
    from jobcron.scripts.locks.lock import RunLock
    from jobcron.scripts.order import RunnerClass
    from jobcron.settings.settings import Section, Settings


class JobCronScript(CronScript):
    """Run the ready jobs of a section of the configuration.

    There are three ways to use it: ``run_jobs.py do_foo`` (`commandline_config`), a subclass with
    `config_name` and `source_interface`, and a test with `test_args`.

    If the command line names several sections, they run one after the other in this process. An error that stops
    one section's run does not stop the next one's; a signal does.

    Args:
        runner_class: the runner for the jobs; by default the section's.
        test_args: a test's arguments. Inside `jobcron.testing.use_session`, the script works in the test's own
            transaction; elsewhere it sees only committed rows.
        name: see `CronScript`.
        commandline_config: whether the command line names the sections.
        logger: see `CronScript`.
    """

    description = "Run the ready jobs of a section of the configuration, those of one source, until none is left."

    records_runs = False  # the section's run does
    config_name: str | None = None
    """The section of the configuration; for subclasses to set."""

    source_interface: object = None
    """The interface of the source, or the job class; for subclasses to set. By default the section's."""

    def __init__(
        self,
        runner_class: RunnerClass | None = None,
        test_args: Sequence[str] | None = None,
        name: str | None = None,
        commandline_config: bool = False,
        logger: logging.Logger | None = None,
    ) -> None:
        if commandline_config:
            self.usage = "%(prog)s [options] SECTION..."
        self.runner_class = runner_class
        self._ping: Ping | None = None
        self._is_stopped = False
        super().__init__(name, test_args, logger)
        self._imports_since = self.started
        self._turns: list[str] = []
        if commandline_config:
            self._turns = list(dict.fromkeys(self.args))
            if not self._turns:
                self.parser.error("expected the names of sections of the configuration, got: none")
            if len(self._turns) > 1 and self.options.profile is not None:
                self.parser.error(f"expected one section with --profile, got: {' '.join(self._turns)}")
            self.config_name = self._turns[0]
        elif self.args:
            self.parser.error(f"expected no arguments, got: {' '.join(self.args)}")

    def add_my_options(self) -> None:
        """Add the options of a run."""
        self.parser.add_argument(
            "--fail-on-job-failure",
            action="store_true",
            help="exit with status 1 if a job did not complete",
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
        statuses = []
        for _ in self._each_turn():
            try:
                statuses.append(self._run_ready())
            except KeyboardInterrupt:
                self._is_stopped = True
                raise
        return max(statuses)

    def _each_turn(self) -> Iterator[None]:
        """Make each section on the command line the script's section in turn, until a signal stops a run."""
        if not self._turns:
            yield
            return
        for number, name in enumerate(self._turns):
            if self._is_stopped:
                break
            if number:
                self.started = time.monotonic()
            self.config_name = name
            yield

    def _run_ready(self) -> int:
        """Run the ready jobs of the section; return the exit status."""
        if not self._may_have_work():
            return 0
        self._take_lease()
        from jobcron.runner.signals import restore_signals
        from jobcron.runner.surroundings.garbage import ImportsForGood

        if not self.in_test:
            restore_signals()
        self._start_pings()
        is_first = "jobcron.scripts._section_run" not in sys.modules  # a process may run a script again and again
        with instance.presented(self.settings):  # again, since tests call main() directly
            with ImportsForGood(is_ours=is_first and not self.in_test):
                from jobcron.database.sessions import ambient_session
                from jobcron.scripts import _endings  # now: the package may be replaced while jobs run
                from jobcron.scripts._section_run import import_application, run_section
                from jobcron.scripts.code_stamp import note_begin
                from jobcron.scripts.order import Order

                order = Order(
                    settings=self.settings,
                    section=self.section,
                    wanted=self.source_interface,
                    runner_class=self.runner_class,
                    dbuser=self.dbuser,
                    logger=self.logger,
                    started=self.started,
                    imports_since=self._imports_since,
                    session=ambient_session() if self.in_test else None,
                    tenure=self._tenure(),
                )
                if not self.in_test:
                    note_begin(order.settings, order.section.name)  # the import may fail, or hang
                application = import_application(order.settings, order.section)
                crew = self._crew()
            result = run_section(order, application, crew)
        self._is_stopped = result.was_stopped
        if result.status:
            raise _endings.AlreadyTold(result.status)
        failed = result.incomplete.total() > 0
        return 1 if failed and self.options.fail_on_job_failure else 0

    def _guarded(self) -> int:
        """Return the worst exit status of the sections."""
        turns, statuses = self._turns, []
        for _ in self._each_turn():
            self._turns = []  # `main` runs this turn's section alone
            statuses.append(self._guarded_turn())
            self._turns = turns
        return max(statuses, key=lambda status: (status != 0, status != LockHeld.exit_status, status))

    def _guarded_turn(self) -> int:
        """Return the exit status, once the service that expects pings knows it."""
        status = super()._guarded()
        if self._ping is not None:
            self._ping.end(status)
            self._ping = None
        return status

    def _start_pings(self) -> None:
        if self.section.ping_url is not None and not self.in_test:
            from jobcron.reports.ping import Ping

            self._ping = Ping(self.section.ping_url, self.logger)
            self._ping.start()

    def _may_have_work(self) -> bool:
        if self.in_test or self.options.verbose:  # whoever asks for more wants to know why nothing runs
            return True
        from jobcron.queue.tick import Tick
        from jobcron.scripts._telling.quiet_runs import QuietRuns
        from jobcron.scripts.code_stamp import types_by_source

        settings, name = self.settings, self.section.name
        type_name = types_by_source(settings).get(self._source_name() or "")
        if type_name is None:
            return True
        runs = QuietRuns(settings, tells_itself=True)
        tick = Tick(settings.database_url, self.dbuser, settings.activity_interval, may_note=runs.may_note)
        gone = self._lock.gone if self._lock is not None else ()
        try:
            has_work = tick.with_work({name: type_name}, {name: gone}, {name: self.section.channel})
        finally:
            tick.close()
        if tick.noted:
            self._tell_quiet_run()
        return bool(has_work)

    def _tell_quiet_run(self) -> None:
        """Tell whoever watches each run of one that found nothing, and whose row the tick has written."""
        from jobcron.scripts._telling.quiet_runs import is_told_of

        if not is_told_of(self.settings, self.section):
            return
        from jobcron.reports.metrics import observed

        self._start_pings()
        with observed(self.settings, self.section.name, self.started, self.logger) as observer:
            observer.ready_counted(0, 0.0)

    def _new_lock(self, settings: Settings, what: str) -> RunLock:
        """Return the lock of the section; that of all hosts asks the database over a connection of its own."""
        if not self.section.is_alone_everywhere:
            return super()._new_lock(settings, what)
        from jobcron.scripts.locks.cluster import SectionLock, fetcher

        return SectionLock(settings, self.section, what, fetcher(settings, self.dbuser))

    def _take_lease(self) -> None:
        """Take the section's lock in the database, if it has one.

        Raises:
            LockHeld: another run has it.
        """
        if self._lock is not None and self.section.is_alone_everywhere:
            from jobcron.scripts.locks.cluster import SectionLock

            assert isinstance(self._lock, SectionLock)
            self._lock.take_lease()

    def _tenure(self) -> Tenure | None:
        """Take a name to claim under, by which the next holder of the lock knows what this run leaves."""
        from jobcron.jobs.lease import tenure_under

        lock = self._lock
        if lock is None:
            return None
        return tenure_under(lock.claims(), lock.gone, lock.descriptor, lock.lease, lock.trouble)

    def _crew(self) -> Crew | None:
        """Return what runs the section in several processes; None: it is not asked for, or not possible here."""
        if self._lock is None or self.section.max_workers == 1 or self.in_test or self.options.profile is not None:
            return None
        from jobcron.scripts._children import check_thread
        from jobcron.scripts.worker.crew import crew_for

        check_thread()
        return crew_for(self._lock, self.parser.prog)

    def _source_name(self) -> str | None:
        wanted = self.source_interface
        if wanted is None:
            return self.section.source_interface
        from jobcron.settings.named import dotted_name

        return dotted_name(wanted)
