"""One run of one section, once something may be ready: application, database, source, runner, counts."""

from __future__ import annotations

import importlib
import logging
import time
from collections import Counter
from contextlib import AbstractContextManager, suppress
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from jobcron import registry
from jobcron.activity import is_due, record_run, typical_seconds
from jobcron.application import find_source, load_application, session_class_of, source_of
from jobcron.database import AmbientDatabase, Database, TransactionSource
from jobcron.errors import ConfigurationError, DatabaseUnavailable
from jobcron.imports import ImportsForGood
from jobcron.logs import TOLD
from jobcron.metrics import Observer, observed
from jobcron.notify import Outbox, post
from jobcron.oops import globalErrorUtility
from jobcron.runner import JobRunner
from jobcron.schema_version import check_schema
from jobcron.settings import Section, Settings
from jobcron.source_runner import Limits, SourceRunner
from jobcron.trouble import first_line

INSUFFICIENT_PRIVILEGE = "42501"
"""PostgreSQL's code of a right that a role has not."""


class Order(NamedTuple):
    """What a script wants to be run.

    Attributes:
        settings: the instance's.
        section: the section.
        wanted: the source's interface or class; None: what the section names.
        runner_class: how; None: what the section names.
        dbuser: the database role, or None.
        logger: the script's.
        started: when the script began, by the monotonic clock.
        session: a test's own, to work in; None: a connection of its own.
        imports_for_good: whether the process is a script's, and its first run; see `jobcron.imports`.
    """

    settings: Settings
    section: Section
    wanted: Any
    runner_class: Any
    dbuser: str | None
    logger: logging.Logger
    started: float
    session: Session | None
    imports_for_good: bool


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
        if getattr(error.orig, "pgcode", None) != INSUFFICIENT_PRIVILEGE:
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
    sources = registry.registered_sources(order.settings.source_names())
    with database.begin(writing=False) as connection:
        if isinstance(database, Database):
            check_schema(connection, f"{database.describe()} ({database.origin})", order.logger)
        known = registry.is_known(connection, sources)
        # Intervals of the clock: of a busy section a run is always recent, and one is the first in each of these.
        if is_due(connection, order.section.name, time.time() % order.settings.activity_interval):
            told = _tell_unclaimed(connection, order.logger, source)
    if not known:
        with database.begin() as connection:
            registry.sync(connection, sources)
    return told


def _tell_unclaimed(connection: Connection, logger: logging.Logger, source: Any) -> bool:
    """Say which types of the source's family have jobs and no class: they are left alone until one has them."""
    family, _, _ = getattr(source, "type_name", "").rpartition(".")
    if not family:
        return False
    found = registry.unclaimed(connection, family)
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
    try:
        with database.begin() as connection:
            record_run(
                connection,
                order.section.name,
                time.monotonic() - order.started,
                runner.completed.total(),
                runner.incomplete.total(),
                len(runner.oops_ids),
                0.0 if told else order.settings.activity_interval,
            )
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
            observer.count_ready(connection, registry.dotted_name(source))
    except (DBAPIError, DatabaseUnavailable) as error:
        order.logger.warning("The ready jobs could not be counted: %s", first_line(error), extra=TOLD)


def _source(order: Order) -> Any:
    if order.wanted is None:
        return find_source(order.settings, order.section)
    return source_of(order.wanted, "the script's source_interface", order.settings)


def runner_class_of(settings: Settings, section: Section) -> Any:
    """Return the runner that a section names.

    Raises:
        ConfigurationError: there is no such class, or it is no runner.
    """
    name = section.runner_class
    if name == "JobRunner":
        return JobRunner
    if name in ("ProcessJobRunner", "TwistedJobRunner"):
        from jobcron.isolation.runner import ProcessJobRunner

        return ProcessJobRunner
    place = f"{settings.path}: section [{section.name}], key runner_class"
    module, _, attribute = name.rpartition(".")
    found = None
    with suppress(ImportError):
        found = getattr(importlib.import_module(module), attribute, None) if module else None
    if not hasattr(found, "for_source"):
        raise ConfigurationError(
            f"{place}: expected JobRunner, ProcessJobRunner or the dotted name of a class with for_source, "
            f"got: {name}"
        )
    return found


def limits_of(settings: Settings, section: Section) -> Limits:
    """Return what bounds the runs of a section.

    Raises:
        ConfigurationError: it asks for more workers than the database can serve.
    """
    if section.max_workers > 1 and settings.database_url.startswith("sqlite"):
        raise ConfigurationError(
            f"{settings.path}: section [{section.name}], key max_workers: expected 1 for an SQLite database, "
            f"where one job writes at a time, got: {section.max_workers}"
        )
    return Limits(
        section.batch_size,
        settings.crash_limit,
        settings.grace_seconds,
        section.max_workers,
        section.max_runtime,
    )


def _with_history(limits: Limits, database: TransactionSource, section: Section) -> Limits:
    """Return the limits with how long a job took in earlier runs, where that is of interest."""
    if limits.max_runtime is None:
        return limits
    with database.begin(writing=False) as connection:
        seconds = typical_seconds(connection, section.name)
    # Of jobs that run side by side each takes longer than its share of the run.
    return limits._replace(typical_seconds=None if seconds is None else seconds * limits.max_workers)


def _open_database(order: Order) -> TransactionSource:
    if order.session is not None:
        return AmbientDatabase(order.session)
    settings = order.settings
    return Database(
        settings.database_url,
        order.dbuser,
        origin=_origin(order),
        session_class=session_class_of(settings),
    )


def _origin(order: Order) -> str:
    """Return where the database, and the role in it if it has one of its own, are named, for messages."""
    origin = order.settings.database_origin
    if order.dbuser is None or not order.settings.database_url.startswith("postgres"):
        return origin
    return f"{origin} and {order.settings.path}: section [{order.section.name}], key dbuser, role {order.dbuser}"


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
