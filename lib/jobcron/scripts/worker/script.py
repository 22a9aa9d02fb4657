"""The worker's command: ``jobcron worker [SECTION …]``."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from functools import partial

from jobcron.errors import ConfigurationError
from jobcron.scripts.instances import InstancesScript, Patterns
from jobcron.scripts.worker._options import add_options
from jobcron.settings.database_url import POSTGRESQL, backend_of
from jobcron.settings.directories import private_directory

TYPE_CHECKING = False

if TYPE_CHECKING:
    from jobcron.jobs.lease import Tenure
    from jobcron.runner.application import Application
    from jobcron.scripts.locks.lock import RunLock
    from jobcron.scripts.worker._line import Line
    from jobcron.scripts.worker._lookout import Lookout
    from jobcron.scripts.worker._systemd import Notifier
    from jobcron.scripts.worker._terms import Terms
    from jobcron.settings.settings import Section, Settings

CONTROL_SECONDS = 5.0
"""How often the control file is read, which may be far away."""


def notified_at(settings: Settings) -> str | None:
    """Return the URL of the database that notifies of new jobs; None: it does not.

    Raises:
        ConfigurationError: this kind of database cannot.
    """
    if settings.notify and backend_of(settings.database_url) != POSTGRESQL:
        place = settings.place("notify")
        raise ConfigurationError(f"{place}: expected false, as for all databases but PostgreSQL, got: true")
    return settings.database_url if settings.notify else None


class Worker(InstancesScript):
    """Stay, and run the jobs of sections as soon as they are ready, several at once."""

    usage = "%(prog)s [options] [SECTION ...]"

    records_runs = False  # its sections' runs do

    takes_lock = False
    """Each section's lock is taken while one of the worker's processes runs it."""

    control_name = "worker"
    """The worker's name in the control file; each of its sections can be switched off as well."""

    _ask_at = 0.0
    _enabled_sections: list[Section]

    @property
    def lock_name(self) -> str:
        """See `control_name`; there is no lock."""
        return self.control_name

    def add_my_options(self) -> None:
        """Add the options that say how much it does at once, and for how long."""
        add_options(self.parser)
        self.add_instances_option()

    def main(self) -> int | None:
        """Run the sections until a signal or an option ends it."""
        if (patterns := self._others()) is not None:
            return self._serve(patterns)
        from jobcron.reports.worker_metrics import WorkerMetrics
        from jobcron.runner.signals import restore_signals
        from jobcron.runner.surroundings.garbage import ImportsForGood
        from jobcron.scripts._children import check_thread
        from jobcron.scripts.locks.holders import new_family
        from jobcron.scripts.worker._ear import Ear
        from jobcron.scripts.worker._lookout import Lookout
        from jobcron.scripts.worker._presence import Presence
        from jobcron.scripts.worker._processes import Processes
        from jobcron.scripts.worker._supervisor import Supervisor

        check_thread()
        chosen = self._chosen()
        if not self.in_test:
            restore_signals()
        with ImportsForGood(is_ours=not self.in_test):
            application, types = self._imported(chosen)
        self._check(chosen)
        serve = partial(self._live, application, terms := self._terms(chosen))
        ear = Ear(notified_at(self.settings), self.logger)
        family = new_family()
        locks: dict[str, RunLock] = {}
        processes = Processes(lambda name: locks[name], serve, self.logger, family=family)
        lookout = Lookout(self.settings, types, processes.gone)
        locks |= {section.name: self._lock_of(section, lookout) for section in chosen}
        names = list(locks)
        metrics = WorkerMetrics(self.settings, names, terms.processes, self.logger)
        presence = Presence(lookout, family, names, terms, metrics, ear, self.logger)
        processes.abandons = lambda: [*lookout.descriptors(), *ear.descriptors()]
        try:
            if self.options.dry_run:
                return self._tell_work(lookout, chosen)
            self.logger.info("The worker runs %s.", ", ".join(names))
            enabled, most = partial(self._enabled, chosen), {s.name: self._most_of(s) for s in chosen}
            supervisor = Supervisor(
                enabled, most, terms, lookout, processes, ear, presence, self._notifier(), self.logger
            )
            return supervisor.run()
        finally:
            lookout.close()
            ear.close()

    def serve_instances(self, patterns: Patterns) -> int:
        """Serve several instances, each by a worker of its own, until a signal or an option ends it."""
        from jobcron.scripts.worker._several import Several

        return Several(patterns, self.args, self.options, self._notifier(), self.logger).run()

    def _notifier(self) -> Notifier:
        """Return what tells systemd, or the worker that serves several instances, one of them by this."""
        import socket

        from jobcron.scripts.worker._systemd import Notifier

        number = self.options.tether
        return Notifier() if number is None else Notifier(socket.socket(fileno=number))

    def _chosen(self) -> list[Section]:
        """Return the sections that the arguments name; a name may also be that of sections' queue.

        Raises:
            ConfigurationError: there is no such section or queue, or no section at all.
        """
        settings = self.settings
        chosen: dict[str, Section] = {} if self.args else dict(settings.sections)
        for name in self.args:
            found = [section for section in settings.sections.values() if name in (section.name, section.queue)]
            chosen |= {section.name: section for section in found or [settings.section(name)]}
        if not chosen:
            raise ConfigurationError(f"{settings.path}: expected a section of jobs, found none")
        return list(chosen.values())

    def _imported(self, chosen: list[Section]) -> tuple[Application, dict[str, str]]:
        """Import the application and the sources; return it, and the type names of the sources."""
        from jobcron.jobs.known_types import registered_sources, types_by_source
        from jobcron.queue.sources import find_source
        from jobcron.scripts import _endings  # noqa: F401 (the package may be replaced while jobs run)
        from jobcron.scripts._section_run import import_application
        from jobcron.scripts.order import limits_of, runner_class_of
        from jobcron.scripts.worker import _child  # noqa: F401 (once, for all processes)

        application = import_application(self.settings, chosen[0])
        for section in chosen:
            with suppress(ConfigurationError):  # told by the section's own run: the others go on
                find_source(self.settings, section)
                runner_class_of(self.settings, section)
                limits_of(self.settings, section)
        return application, types_by_source(registered_sources(self.settings.source_names()))

    def _enabled(self, chosen: list[Section]) -> list[Section]:
        """Return the sections that are not switched off, as was last asked."""
        from jobcron.scripts.control import Control

        path = self.settings.cron_control
        if path is None:
            return chosen
        if time.monotonic() >= self._ask_at:
            self._ask_at = time.monotonic() + CONTROL_SECONDS
            control = Control(path)
            self._enabled_sections = [section for section in chosen if control.ask(section.name).is_enabled]
        return self._enabled_sections

    def _terms(self, chosen: list[Section]) -> Terms:
        from jobcron.scripts.worker._options import terms_of

        most = max(map(self._most_of, chosen))
        return terms_of(self.options, self.settings, most, gives_up=not self.is_one_of_several)

    def _most_of(self, section: Section) -> int:
        """Return how many processes may run a section at once: one if it has parallel processes of its own."""
        if backend_of(self.settings.database_url) != POSTGRESQL:
            return 1  # one job writes at a time
        return int(self.options.processes or section.max_workers) if self._is_plain(section) else 1

    def _is_plain(self, section: Section) -> bool:
        """Return whether a section's jobs run in the worker's own processes; False: unknown as well."""
        from jobcron.scripts.order import is_plain, runner_class_of

        try:
            return is_plain(runner_class_of(self.settings, section))
        except ConfigurationError:
            return False  # its run says what is wrong

    def _check(self, chosen: list[Section]) -> None:
        """Check that locks can be taken, and the rate can be kept.

        Raises:
            DirectoryError: the directory of all locks cannot be used.
            ConfigurationError: a section has a runner that knows nothing of the rate.
        """
        private_directory(self.settings.lock_dir, self._lock_directory())
        for section in chosen if self.options.rate_limit else ():
            if not self._is_plain(section):
                raise ConfigurationError(
                    f"{self.settings.path}: section [{section.name}], key runner_class: expected JobRunner for "
                    f"--rate-limit, got: {section.runner_class}"
                )

    def _lock_of(self, section: Section, lookout: Lookout) -> RunLock:
        """Return a section's lock; that of all hosts asks the database over the connections of the looks."""
        what = self._lock_directory()
        if section.is_alone_everywhere:
            from jobcron.scripts.locks.cluster import WorkersLock

            return WorkersLock(self.settings, section, what, partial(lookout.fetch, section.dbuser))
        from jobcron.scripts.locks.lock import RunLock

        return RunLock(self.settings.lock_dir, section.name, what)

    def _lock_directory(self) -> str:
        return f"{self.settings.place('lock_dir')}: the lock directory"

    def _live(
        self, application: Application, terms: Terms, section: str, tenure: Tenure | None, line: Line
    ) -> int:
        """Run a section in a process of its own, and return the exit status."""
        from jobcron.scripts.order import Order
        from jobcron.scripts.worker._child import serve

        chosen = self.settings.section(section)
        order = Order(
            settings=self.settings,
            section=chosen,
            wanted=None,
            runner_class=None,
            dbuser=chosen.dbuser,
            logger=self.logger,
            started=time.monotonic(),
            session=None,
            tenure=tenure,
            imports_since=self.started,  # by the supervisor: the code may have changed since
        )
        return serve(order, application, self.parser.prog, line, terms)

    def _tell_work(self, lookout: Lookout, chosen: list[Section]) -> int:
        """Print which sections have work.

        Raises:
            UserMistake: the database is missing or away: the lookout would leave it to the runs to say so.
        """
        from jobcron.database.database import Database
        from jobcron.database.version import check_file, check_schema

        settings = self.settings
        with closing(Database(settings.database_url, origin=settings.database_origin)) as database:
            check_file(settings.database_url, database.where)
            with database.begin(writing=False) as connection:
                check_schema(connection, database.where, self.logger)
        found = lookout.with_work(self._enabled(chosen), only_looks=True)
        for section in chosen:
            words = [section.name, "has work" if section.name in found else "nothing to do"]
            print("\t".join(words if self.options.named is None else [self.options.named, *words]))
        return 0


if __name__ == "__main__":  # for one of several instances
    Worker(name="jobcron worker").lock_and_run()
