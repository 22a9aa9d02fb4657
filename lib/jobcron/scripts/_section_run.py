"""The run of one section, once something may be ready: application, database, source, runner, counts."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.runs import EndedRun, is_due, record_run
from jobcron.database.trouble import INSUFFICIENT_PRIVILEGE, first_line, sqlstate_of
from jobcron.database.version import check_schema
from jobcron.errors import ConfigurationError, DatabaseUnavailable
from jobcron.jobs import known_types
from jobcron.queue.ready_count import count_ready
from jobcron.queue.views import SourceView
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.mail import Outbox, post
from jobcron.reports.metrics import Observer, observed
from jobcron.reports.oops import globalErrorUtility
from jobcron.runner.application import Application, load_application
from jobcron.runner.source_runner import SourceRunner
from jobcron.scripts.order import (
    Order,
    _open_database,
    _origin,
    _source,
    _with_history,
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


def run_section(order: Order, application: Application) -> SourceRunner:
    """Run the ready jobs of a section.

    Args:
        order: the run to perform.
        application: the imported application, see `import_application`.

    Returns:
        The runner, which has the counts.

    Raises:
        UserMistake: the configuration, the database or its schema is wrong.
    """
    settings, section = order.settings, order.section
    source = _source(order)
    runner_class = order.runner_class or runner_class_of(settings, section)
    with _opened_database(order) as database, _observed(order) as observer:
        found_unclaimed = _prepare(database, order, source)
        _address_mail(database, settings)
        limits = _with_history(limits_of(settings, section), database, section)
        runner: SourceRunner = runner_class.for_source(
            source, database, order.logger, application=application, limits=limits
        )
        # The row of a run that warned of jobs without a class marks the warning: it is always written.
        # why: decisions 2026-11-25, types without a class are told by the first run
        _run(runner, database, order, record_interval=0.0 if found_unclaimed else settings.activity_interval)
        _count_ready(database, order, source, observer)
    return runner


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
        raise ConfigurationError(
            f"{_origin(order)}: expected a role that may use jobcron's tables, got: {first_line(error.orig)}; "
            "`jobcron grant` gives it the rights"
        ) from error
    finally:
        database.close()
        if order.session is not None:
            order.session.expire_all()


def _run(runner: SourceRunner, database: TransactionSource, order: Order, record_interval: float) -> None:
    """Run the jobs; log and record the counts, even if an error ends the run."""
    is_over = False
    try:
        runner.runAll()
        is_over = True
    finally:
        if is_over or runner.completed or runner.incomplete:  # a run that could do nothing is no sign of life
            _log_counts(order.logger, runner)
            _record(database, order, runner, record_interval)


def _prepare(database: TransactionSource, order: Order, source: Any) -> bool:
    """Check the tables, and register this process's job types in the database; write only new ones.

    Returns:
        Whether there are pending jobs without a class; the log then has a warning.
    """
    found_unclaimed = False
    sources = known_types.registered_sources(order.settings.source_names())
    with database.begin(writing=False) as connection:
        if not database.is_ambient:
            check_schema(connection, database.where, order.logger)
        known = known_types.is_known(connection, sources)
        # Intervals of the clock: a busy section always has a recent run, but one run is the first in each
        # interval.
        if is_due(connection, order.section.name, time.time() % order.settings.activity_interval):
            found_unclaimed = _warn_of_unclaimed(connection, order.logger, source)
    if not known:
        with database.begin() as connection:
            known_types.sync(connection, sources)
    return found_unclaimed


def _warn_of_unclaimed(connection: Connection, logger: logging.Logger, source: Any) -> bool:
    """Warn of types of the source's family with pending jobs but no class; return whether there are any."""
    family, _, _ = SourceView(source).type_name.rpartition(".")
    if not family:
        return False
    found = known_types.unclaimed(connection, family)
    for name, pending in found:
        logger.warning(
            "%s pending jobs of the type %s, which no class of this application has.",
            pending,
            name,
            extra=NO_OOPS,
        )
    return bool(found)


def _record(database: TransactionSource, order: Order, runner: SourceRunner, interval: float) -> None:
    """Write the row of the run; only log a failure, since the run has done its work."""
    ended = EndedRun(
        order.section.name,
        seconds=time.monotonic() - order.started,
        completed=runner.completed.total(),
        incomplete=runner.incomplete.total(),
        oopses=len(runner.oops_ids),
    )
    try:
        with database.begin() as connection:
            record_run(connection, ended, interval)
    except (DBAPIError, DatabaseUnavailable) as error:
        order.logger.warning("The row of this run could not be written: %s", first_line(error), extra=NO_OOPS)


def _observed(order: Order) -> AbstractContextManager[Observer]:
    """Return a context manager for the instance's metrics; runs in a test's transaction have none."""
    settings = order.settings
    if order.session is not None:
        settings = settings._replace(metrics_dir=None, metrics_hook=None)
    return observed(settings, order.section.name, order.started, order.logger)


def _count_ready(database: TransactionSource, order: Order, source: Any, observer: Observer) -> None:
    """Report how many jobs are left; do not query the database if nothing uses the number."""
    if not observer.is_heard:
        return
    try:
        with database.begin(writing=False) as connection:
            ready = count_ready(connection, dotted_name(source))
        observer.ready_counted(ready.count, ready.oldest_seconds)
    except (DBAPIError, DatabaseUnavailable) as error:
        order.logger.warning("The ready jobs could not be counted: %s", first_line(error), extra=NO_OOPS)


def _address_mail(database: TransactionSource, settings: Settings) -> None:
    if database.is_ambient:
        if not isinstance(post.transport, Outbox):
            post.transport = Outbox()
    else:
        post.configure(settings.mail, settings.mail_from)


def _log_counts(logger: logging.Logger, runner: SourceRunner) -> None:
    counts: tuple[tuple[Counter[str], str], ...] = (
        (runner.completed, "Ran %d %s jobs."),
        (runner.incomplete, "%d %s jobs did not complete."),
    )
    for counted, text in counts:
        for name in sorted(counted):
            logger.info(text, counted[name], name)
