"""Run jobs of whose numbers somebody tells: the receiving side of a dispatcher (LP-32).

Each job is claimed like any other: the same lease, fence, outcomes, reports, and limits of channels. The number of
a job that is taken, has ended, is not due or is gone is dropped without a word: cron runs what is left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial

from sqlalchemy import select

from jobcron.database.database import TransactionSource
from jobcron.database.tables import JobTypeRow
from jobcron.dispatch.dispatchers import Dispatchers, SectionDispatcher
from jobcron.dispatch.offers import forget_offers, note_offers, offer_of
from jobcron.errors import ConfigurationError
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.registry import names_of, registered
from jobcron.jobs.status import WAITING
from jobcron.queue.loading import FeedOrder
from jobcron.queue.sources import find_source
from jobcron.queue.views import SourceView
from jobcron.reports.mail import post
from jobcron.runner.application import Application
from jobcron.runner.source_runner import SourceRunner
from jobcron.runner.surroundings.garbage import ImportsForGood
from jobcron.scripts._section_run import import_application
from jobcron.scripts.control import Control
from jobcron.scripts.order import Order, _open_database, limits_of, runner_class_of
from jobcron.scripts.worker._child import status_of
from jobcron.scripts.worker._number_feed import NumberFeed
from jobcron.scripts.worker._stint import Clock, Stint
from jobcron.settings.settings import Section, Settings

CONTROL_SECONDS = 5.0
"""How often the control file is read, which may be far away."""


def ready_to_receive(settings: Settings, sections: Sequence[Section]) -> Application:
    """Import the application, and check that jobs of sections can be run one by one; return it.

    Args:
        settings: the instance's, presented.
        sections: the sections whose jobs may come; those with the key ``dispatch`` are checked.

    Raises:
        UserMistake: the application cannot be imported, or a section's source or runner does not allow it.
    """
    with ImportsForGood(is_ours=True):
        application = import_application(settings, sections[0])
    for section in sections:
        if section.dispatch is not None:
            check_section(settings, section)
    return application


def check_section(settings: Settings, section: Section) -> None:
    """Check that jobs of a section can be run one by one; the application is imported.

    Raises:
        ConfigurationError: its source or its runner does not allow it; the message says which.
    """
    source = SourceView(find_source(settings, section))
    place = f"{settings.path}: section [{section.name}], key"
    if source.finds_ready_jobs_itself or not source.type_name:
        raise ConfigurationError(
            f"{place} dispatch: expected a job class without iterReady as the source, so that a job can be "
            f"claimed by its number, got {source.name}"
        )
    chosen = runner_class_of(settings, section)
    if not (isinstance(chosen, type) and issubclass(chosen, SourceRunner)):
        raise ConfigurationError(
            f"{place} runner_class: expected JobRunner, ProcessJobRunner or a class that inherits from one, "
            f"beside dispatch, got {section.runner_class}"
        )
    limits_of(settings, section)


class Desk:
    """Runs jobs of one section in this process, one by one.

    Args:
        order: what would be the order for a run.
        application: the imported application.

    Attributes:
        may_go_on: whether the last job did not complete, and so may go on in a slower lane.
    """

    def __init__(self, order: Order, application: Application) -> None:
        self.order = order
        self._application = application
        self._limits = limits_of(order.settings, order.section)._replace(batch_size=1, max_workers=1)
        self._database: TransactionSource | None = None
        self._stint: Stint | None = None
        self.may_go_on = False

    @property
    def database(self) -> TransactionSource:
        """The database as the section's role sees it; it stays open."""
        if self._database is None:
            self._database = _open_database(self.order)
        return self._database

    def type_of_waiting(self, job_id: int) -> str | None:
        """Return the name of a job's type; None: it does not wait, or is not there."""
        wanted = select(JobTypeRow.name).join(Job, Job.type_id == JobTypeRow.id)
        wanted = wanted.where(Job.id == job_id, has_status(WAITING))
        with self.database.begin(writing=False) as connection:
            return connection.scalar(wanted)

    def run(self, job_id: int) -> None:
        """Claim the job, if that is possible, and run it."""
        order = self.order
        settings, section = order.settings, order.section
        source = find_source(settings, section)
        if self._stint is None:
            self._stint = Stint(order, self.database, source)
        post.configure(settings.mail, settings.mail_from, settings.recipients_of(section.name))
        self.may_go_on = False
        began = time.monotonic()
        with self._stint.observing():
            runner = self._runner(source, job_id)
            try:
                runner.runAll()
            finally:
                self._stint.add(runner, time.monotonic() - began)
                self.may_go_on = runner.incomplete.total() > 0

    def _runner(self, source: object, job_id: int) -> SourceRunner:
        """Return a runner for a job."""
        order = self.order
        runner = runner_class_of(order.settings, order.section).for_source(
            source, self.database, order.logger, application=self._application, limits=self._limits
        )
        claims = FeedOrder(
            runner.source_view, self.database, runner.claimant, 1, self._limits.crash_limit, order.logger
        )
        runner.feed = NumberFeed(claims, job_id)
        return runner

    def offer_again(self, job_id: int, dispatcher: SectionDispatcher | None) -> None:
        """Offer a job that goes on in the lane of another section, if that has a dispatcher."""
        if dispatcher is None:
            return
        with self.database.begin() as connection:
            note_offers(connection, [job_id], dispatcher.section.name, dispatcher.name)
        if not dispatcher.offer([job_id]):
            with self.database.begin() as connection:
                forget_offers(connection, [job_id])

    def forget_offer(self, job_id: int) -> None:
        """Forget the offer of a job that somebody else has taken, as cron does."""
        with self.database.begin(writing=False) as connection:
            is_there = offer_of(connection, job_id) is not None
        if is_there:
            with self.database.begin() as connection:
                forget_offers(connection, [job_id])

    @property
    def reports_at(self) -> float | None:
        """When it is to report what was done, in seconds of the monotonic clock; None: nothing was."""
        return None if self._stint is None else self._stint.ends

    def end_stint(self) -> None:
        """Report what was done since the last time."""
        stint, self._stint = self._stint, None
        if stint is not None:
            stint.end()

    def close(self) -> None:
        """Report what was done, and close the database."""
        self.end_stint()
        if self._database is not None:
            self._database.close()


class Receiver:
    """Runs the jobs of whose numbers this process is told.

    Args:
        sections: those whose jobs may come.
        application: the imported application.
        dispatchers: the instance's, for jobs that go on in a slower lane; its settings are presented.
        logger: the process's.
        program: its name, for reports.
    """

    def __init__(
        self,
        sections: Sequence[Section],
        application: Application,
        dispatchers: Dispatchers,
        logger: logging.Logger,
        program: str,
    ) -> None:
        self._settings = dispatchers.settings
        self._sections = sections
        self._application = application
        self._dispatchers = dispatchers
        self._logger = logger
        self._program = program
        self._desks: dict[str, Desk] = {}
        self._control: Control | None = None
        self._control_until = 0.0
        self._clock = Clock(self._reports_at, self._report)

    def receive(self, job_id: int, section: Section) -> None:
        """Run a job, if it can be claimed.

        Errors of the database or of the configuration are logged as a script's are: the job is left to cron.

        Args:
            job_id: the job's number.
            section: the section as which it was offered; if its type has changed, that of its type runs it.
        """
        self._clock.stop()
        self._report()
        try:
            desk = self._desk(section)
            status_of(desk.order, self._program, partial(self._receive, job_id, desk))
        finally:
            self._clock.start()

    def close(self) -> None:
        """Report what was done, and close the databases."""
        self._clock.stop()
        for desk in self._desks.values():
            status_of(desk.order, self._program, desk.close)

    def _reports_at(self) -> float | None:
        return min((at for desk in self._desks.values() if (at := desk.reports_at) is not None), default=None)

    def _report(self) -> None:
        """Report what was done in stints that are over."""
        for desk in self._desks.values():
            if desk.reports_at is not None and desk.reports_at <= time.monotonic():
                status_of(desk.order, self._program, desk.end_stint)

    def _receive(self, job_id: int, desk: Desk) -> None:
        type_name = desk.type_of_waiting(job_id)
        if type_name is None:
            desk.forget_offer(job_id)
            return
        found = self._section_of(type_name, [desk.order.section, *self._sections])
        if found is None or not self._is_enabled(found):
            return
        runs = self._desk(found)
        status_of(runs.order, self._program, partial(runs.run, job_id))
        if not runs.may_go_on:
            return
        goes_on = self._section_of(runs.type_of_waiting(job_id), [found, *self._settings.sections.values()])
        if goes_on is not None and goes_on is not found:
            runs.offer_again(job_id, self._dispatchers.of_section(goes_on.name))

    def _desk(self, section: Section) -> Desk:
        desk = self._desks.get(section.name)
        if desk is None:
            order = Order(
                settings=self._settings,
                section=section,
                wanted=None,
                runner_class=None,
                dbuser=section.dbuser,
                logger=self._logger,
                started=time.monotonic(),
                session=None,
            )
            desk = self._desks[section.name] = Desk(order, self._application)
        return desk

    def _section_of(self, type_name: str | None, sections: Sequence[Section]) -> Section | None:
        """Return the first of the sections that runs jobs of a type, one by one; None: none does."""
        job_class = registered().get(type_name or "")
        if job_class is None or SourceView(job_class).finds_ready_jobs_itself:
            return None
        names = names_of(job_class)
        found = (section for section in sections if section.source_interface in names)
        return next((section for section in found if not section.is_alone_everywhere), None)

    def _is_enabled(self, section: Section) -> bool:
        where = self._settings.cron_control
        if where is None:
            return True
        if self._control is None or time.monotonic() >= self._control_until:
            self._control, self._control_until = Control(where), time.monotonic() + CONTROL_SECONDS
        return self._control.ask(section.name).is_enabled
