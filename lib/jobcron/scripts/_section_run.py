"""One run of one section, once something may be ready: application, database, source, runner, counts."""

from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jobcron.database.database import Database, TransactionSource
from jobcron.database.runs import EndedRun, is_due, record_run
from jobcron.database.trouble import INSUFFICIENT_PRIVILEGE, first_line, sqlstate_of
from jobcron.database.version import check_schema
from jobcron.errors import ConfigurationError, DatabaseUnavailable
from jobcron.jobs import known_types, registry
from jobcron.queue.ready_count import count_ready
from jobcron.reports.logs import TOLD
from jobcron.reports.mail import Outbox, post
from jobcron.reports.metrics import Observer, observed
from jobcron.reports.oops import globalErrorUtility
from jobcron.runner.application import load_application
from jobcron.runner.garbage import ImportsForGood
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
from jobcron.settings.settings import Settings


def run_section(order: Order) -> SourceRunner:
    """Run the ready jobs of a section, and return the runner, which knows what became of them.

    Raises:
        UserMistake: configuration, database or schema are not as they should be.
    """
    settings, section = order.settings, order.section
    globalErrorUtility.configure(section.name, settings)
    with ImportsForGood(is_ours=order.imports_for_good):
        application = load_application(settings)
    globalErrorUtility.check()
    source = _source(order)
    runner_class = order.runner_class or runner_class_of(settings, section)
    database = _open_database(order)
    try:
        with _observed(order) as observer:
            told = _prepare(database, order, source)
            _address_mail(database, settings)
            limits = _with_history(limits_of(settings, section), database, section)
            runner: SourceRunner = runner_class.for_source(
                source, database, order.logger, application=application, limits=limits
            )
            try:
                runner.runAll()
            except BaseException:
                if runner.completed or runner.incomplete:  # a run that could do nothing is no sign of life
                    _tell_counts(order.logger, runner)
                    _record(database, order, runner, told)
                raise
            _tell_counts(order.logger, runner)
            _record(database, order, runner, told)
            _count_ready(database, order, source, observer)
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
    return runner


def _prepare(database: TransactionSource, order: Order, source: Any) -> bool:
    """Check the tables, and tell the database of the job types of this process; writes only what is new.

    Returns:
        Whether jobs without a class were told: the run's row is then written in any case, as the mark of that.
    """
    told = False
    sources = known_types.registered_sources(order.settings.source_names())
    with database.begin(writing=False) as connection:
        if isinstance(database, Database):
            check_schema(connection, f"{database.describe()} ({database.origin})", order.logger)
        known = known_types.is_known(connection, sources)
        # Intervals of the clock: of a busy section a run is always recent, and one is the first in each of these.
        if is_due(connection, order.section.name, time.time() % order.settings.activity_interval):
            told = _tell_unclaimed(connection, order.logger, source)
    if not known:
        with database.begin() as connection:
            known_types.sync(connection, sources)
    return told


def _tell_unclaimed(connection: Connection, logger: logging.Logger, source: Any) -> bool:
    """Say which types of the source's family have jobs and no class: they are left alone until one has them."""
    family, _, _ = getattr(source, "type_name", "").rpartition(".")
    if not family:
        return False
    found = known_types.unclaimed(connection, family)
    for name, pending in found:
        logger.warning(
            "%s pending jobs of the type %s, which no class of this application has.",
            pending,
            name,
            extra=TOLD,
        )
    return bool(found)


def _record(database: TransactionSource, order: Order, runner: SourceRunner, told: bool) -> None:
    """Write the row of the run; where that fails the run has done its work all the same."""
    ended = EndedRun(
        order.section.name,
        seconds=time.monotonic() - order.started,
        completed=runner.completed.total(),
        incomplete=runner.incomplete.total(),
        oopses=len(runner.oops_ids),
    )
    try:
        with database.begin() as connection:
            record_run(connection, ended, 0.0 if told else order.settings.activity_interval)
    except (DBAPIError, DatabaseUnavailable) as error:
        order.logger.warning("The row of this run could not be written: %s", first_line(error), extra=TOLD)


def _observed(order: Order) -> AbstractContextManager[Observer]:
    """Return the context manager in which the instance's metrics are kept; a test's own runs are no news."""
    settings = order.settings
    if order.session is not None:
        settings = settings._replace(metrics_dir=None, metrics_hook=None)
    return observed(settings, order.section.name, order.started, order.logger)


def _count_ready(database: TransactionSource, order: Order, source: Any, observer: Observer) -> None:
    """Tell how many jobs are left; where nobody listens the database is not asked."""
    if not observer.is_heard:
        return
    try:
        with database.begin(writing=False) as connection:
            ready = count_ready(connection, registry.dotted_name(source))
        observer.ready_counted(ready.count, ready.oldest_seconds)
    except (DBAPIError, DatabaseUnavailable) as error:
        order.logger.warning("The ready jobs could not be counted: %s", first_line(error), extra=TOLD)


def _address_mail(database: TransactionSource, settings: Settings) -> None:
    if database.is_ambient:
        if not isinstance(post.transport, Outbox):
            post.transport = Outbox()
    else:
        post.configure(settings.mail, settings.mail_from)


def _tell_counts(logger: logging.Logger, runner: SourceRunner) -> None:
    counts: tuple[tuple[Counter[str], str], ...] = (
        (runner.completed, "Ran %d %s jobs."),
        (runner.incomplete, "%d %s jobs did not complete."),
    )
    for counted, text in counts:
        for name in sorted(counted):
            logger.info(text, counted[name], name)
