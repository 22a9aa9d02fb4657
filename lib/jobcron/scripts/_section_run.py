"""The run of one section, once something may be ready: application, database, source, runner, counts."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.runs import EndedRun, record_run
from jobcron.database.trouble import INSUFFICIENT_PRIVILEGE, first_line, missing_right, sqlstate_of
from jobcron.dispatch.offers import untaken
from jobcron.errors import DatabaseUnavailable, DatabaseUnusable
from jobcron.queue.ready_count import count_ready
from jobcron.reports.current_job import records_carry_jobs
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.mail import Outbox, post
from jobcron.reports.metrics import Observer, observed
from jobcron.reports.oops import globalErrorUtility
from jobcron.runner.application import Application, load_application
from jobcron.runner.cancelled import call_hooks
from jobcron.runner.source_runner import SourceRunner
from jobcron.scripts._telling.before_jobs import prepare
from jobcron.scripts._telling.unsent_mail import send_again
from jobcron.scripts.code_stamp import note_begin, note_section
from jobcron.scripts.locks.renewal import renewed
from jobcron.scripts.order import (
    Order,
    RunnerClass,
    _open_database,
    _origin,
    _source,
    _with_history,
    is_plain,
    limits_of,
    runner_class_of,
)
from jobcron.settings.named import dotted_name
from jobcron.settings.settings import Section, Settings


def import_application(settings: Settings, section: Section) -> Application:
    """Import the application for a section's run, and check that reports can be written.

    Raises:
        UserMistake: the application cannot be imported, or reports cannot be written.
    """
    globalErrorUtility.configure(section.name, settings)  # first: a failed import is reported
    application = load_application(settings)
    globalErrorUtility.check()
    return application


class RunResult(NamedTuple):
    """What a run has done.

    Attributes:
        completed: how many jobs completed, by class name.
        incomplete: how many did not, by class name.
        oopses: how many reports were made.
        was_stopped: whether a signal stopped it.
        waited: see `EndedRun`.
        ran: see `EndedRun`.
        status: the exit status of the worst of its processes; of one alone 0, since its errors are raised.
    """

    completed: Counter[str]
    incomplete: Counter[str]
    oopses: int
    was_stopped: bool
    waited: float
    ran: float
    status: int = 0


def result_of(runner: SourceRunner) -> RunResult:
    """Return what a runner has done."""
    oopses, was_stopped = len(runner.oops_ids), runner.was_stopped
    return RunResult(runner.completed, runner.incomplete, oopses, was_stopped, runner.waited, runner.ran)


Part = Callable[[Order, Callable[[RunResult], None]], None]
"""What each of several processes does: it runs jobs, and hands over what it has done."""

Crew = Callable[[Order, Part, int], RunResult | None]
"""Runs a section in so many processes; returns None if none could be started, and so nothing was done."""


def run_section(order: Order, application: Application, crew: Crew | None = None) -> RunResult:
    """Run the ready jobs of a section, in several processes if the section has ``max_workers``.

    Args:
        order: the run to perform.
        application: the imported application, see `import_application`.
        crew: starts the processes; None: the run stays in this one.

    Raises:
        UserMistake: the configuration, the database or its schema is wrong.
    """
    if order.session is None:
        note_begin(order.settings, order.section.name)
    source = _source(order)
    runner_class = order.runner_class or runner_class_of(order.settings, order.section)
    with _opened_database(order) as database:
        _address_mail(database, order.settings, order.section.name)
        has_told = prepare(database, order, source)
        _check_lease(order)
        # The row of a run that told something marks that it was told: it is always written.
        # why: decisions 2026-11-25, types without a class are told by the first run
        interval = 0.0 if has_told else order.settings.activity_interval
        processes = 1 if crew is None else _processes(database, order, source, runner_class)
        result = None
        if crew is not None and processes > 1:
            database.close()  # before they are forked
            result = crew(order, partial(_run_part, application), processes)
            if result is not None and (not result.status or result.completed or result.incomplete):
                _conclude(database, order, result, interval)
        if result is None:
            conclude = partial(_conclude, database, order, interval=interval)
            result = _run_observed(database, order, application, source, runner_class, conclude)
        send_again(database, order.logger)
    if order.session is None and not result.status:
        note_section(order.settings, order.section.name)
    return result


def _run_part(application: Application, order: Order, conclude: Callable[[RunResult], None]) -> None:
    """Run ready jobs of a section, in one of the processes of its run.

    Args:
        application: the imported application.
        order: the run, with what this process claims as.
        conclude: called with what it has done, also if an error ends it.
    """
    source = _source(order)
    runner_class = order.runner_class or runner_class_of(order.settings, order.section)
    with _opened_database(order) as database:
        _run_observed(database, order, application, source, runner_class, conclude)


def _processes(database: TransactionSource, order: Order, source: object, runner_class: RunnerClass) -> int:
    """Return in how many processes to run: no more than there are ready jobs.

    An isolated runner has its own processes; one that is made by hand does as it likes.
    """
    if order.section.max_workers == 1 or not is_plain(runner_class):
        return 1
    limits_of(order.settings, order.section)  # refuses more than one on SQLite
    with database.begin(writing=False) as connection:
        return max(1, min(order.section.max_workers, count_ready(connection, dotted_name(source)).count))


def _run_observed(
    database: TransactionSource,
    order: Order,
    application: Application,
    source: object,
    runner_class: RunnerClass,
    conclude: Callable[[RunResult], None],
) -> RunResult:
    section = order.section
    with _observed(order) as observer:
        limits = _with_history(limits_of(order.settings, section), database, section)
        limits = limits._replace(tenure=order.tenure)
        runner = runner_class.for_source(source, database, order.logger, application=application, limits=limits)
        with renewed(database, None if order.tenure is None else order.tenure.lease, order.logger):
            _run(runner, conclude)
        _count_ready(database, order, source, observer)
    return result_of(runner)


def _check_lease(order: Order) -> None:
    """Check that a run which must be alone on all hosts is.

    Raises:
        ConfigurationError: the run's role has no right to the section's lock.
        DatabaseUnavailable: the database could not be asked for it; it answers now.
    """
    tenure, section = order.tenure, order.section
    if section.is_alone_everywhere and tenure is not None and tenure.lease is None:
        trouble = tenure.trouble
        if trouble is not None and trouble.is_missing_right:
            raise missing_right(_origin(order), trouble.text)
        expected = f"expected to take the lock of section {section.name} in the database"
        raise DatabaseUnavailable(f"{_origin(order)}: {expected}, got: {trouble and trouble.text}")


@contextmanager
def _opened_database(order: Order) -> Iterator[TransactionSource]:
    """Open the database of a run, and close it at the end.

    Raises:
        ConfigurationError: the run's role lacks rights.
    """
    database = _open_database(order)
    try:
        yield database
    except DBAPIError as error:
        if sqlstate_of(error.orig) != INSUFFICIENT_PRIVILEGE:
            raise
        raise missing_right(_origin(order), first_line(error.orig)) from error
    finally:
        database.close()
        if order.session is not None:
            order.session.expire_all()


def _run(runner: SourceRunner, conclude: Callable[[RunResult], None]) -> None:
    """Run the jobs; conclude also if an error ends the run."""
    is_over = False
    try:
        with records_carry_jobs():
            if call_hooks(runner):
                runner.runAll()
        is_over = True
    finally:
        if is_over or runner.completed or runner.incomplete:  # a run that could do nothing is no sign of life
            conclude(result_of(runner))


def _conclude(database: TransactionSource, order: Order, result: RunResult, interval: float) -> None:
    """Log and record the counts."""
    _log_counts(order.logger, result)
    _record(database, order, result, interval)


def _record(database: TransactionSource, order: Order, result: RunResult, interval: float) -> None:
    """Write the row of the run; only log a failure, since the run has done its work.

    Raises:
        DatabaseUnusable: what the run has done may be lost.
    """
    ended = EndedRun(
        order.section.name,
        seconds=time.monotonic() - order.started,
        completed=result.completed.total(),
        incomplete=result.incomplete.total(),
        oopses=result.oopses,
        waited=result.waited,
        ran=result.ran,
    )
    try:
        with database.begin() as connection:
            record_run(connection, ended, interval)
    except DatabaseUnusable:
        raise
    except (DBAPIError, DatabaseUnavailable) as error:
        order.logger.warning("The row of this run could not be written: %s", first_line(error), extra=NO_OOPS)


def _observed(order: Order) -> AbstractContextManager[Observer]:
    """Return a context manager for the instance's metrics; runs in a test's transaction have none."""
    settings = order.settings
    if order.session is not None:
        settings = settings._replace(metrics_dir=None, metrics_hook=None)
    return observed(settings, order.section.name, order.started, order.logger)


def _count_ready(database: TransactionSource, order: Order, source: object, observer: Observer) -> None:
    """Report how many jobs are left; do not query the database if nothing uses the number."""
    if not observer.is_heard:
        return
    try:
        with database.begin(writing=False) as connection:
            ready = count_ready(connection, dotted_name(source))
            name = order.section.name
            offered = sum(found.number for found in untaken(connection) if found.section == name)
        observer.ready_counted(ready.count, ready.oldest_seconds, offered)
    except DatabaseUnusable:
        raise
    except (DBAPIError, DatabaseUnavailable) as error:
        order.logger.warning("The ready jobs could not be counted: %s", first_line(error), extra=NO_OOPS)


def _address_mail(database: TransactionSource, settings: Settings, section: str) -> None:
    recipients = settings.recipients_of(section)
    if database.is_ambient:
        if not isinstance(post.transport, Outbox):
            post.transport = Outbox()
        post.failure_recipients = recipients
    else:
        post.configure(settings.mail, settings.mail_from, recipients)


def _log_counts(logger: logging.Logger, result: RunResult) -> None:
    counts: tuple[tuple[Counter[str], str], ...] = (
        (result.completed, "Ran %d %s jobs."),
        (result.incomplete, "%d %s jobs did not complete."),
    )
    for counted, text in counts:
        for name in sorted(counted):
            logger.info(text, counted[name], name)
