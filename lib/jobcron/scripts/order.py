"""The order for one run: its section, its source, its runner and its limits."""

from __future__ import annotations

import logging
from typing import NamedTuple, Protocol, TypeGuard, cast

from sqlalchemy.orm import Session

from jobcron.database.database import AmbientDatabase, Database, TransactionSource
from jobcron.database.runs import typical_seconds
from jobcron.database.version import check_file
from jobcron.errors import ConfigurationError
from jobcron.jobs.lease import Tenure
from jobcron.queue.sources import find_source, source_of
from jobcron.runner.application import Application, session_class_of
from jobcron.runner.job_runner import JobRunner
from jobcron.runner.source_runner import Limits, SourceRunner
from jobcron.settings.database_url import POSTGRESQL, SQLITE, backend_of
from jobcron.settings.named import find_named
from jobcron.settings.settings import Section, Settings


class RunnerClass(Protocol):
    """What makes the runner of a run: a subclass of `SourceRunner`, or an object that returns one."""

    def for_source(
        self,
        source: object,
        database: TransactionSource,
        logger: logging.Logger,
        *,
        application: Application,
        limits: Limits,
    ) -> SourceRunner:
        """Return a runner for the ready jobs of a source."""


class Order(NamedTuple):
    """A script's order for a run.

    Attributes:
        settings: the instance's settings.
        section: the section.
        wanted: the source's interface or class; None: the one that the section names.
        runner_class: the runner; None: the one that the section names.
        dbuser: the database role, or None.
        logger: the script's logger.
        started: when the script began, by the monotonic clock.
        session: a test's own session to work in; None: open a connection.
        tenure: what is known of the section's lock; None: the run is under none.
        imports_since: when the process began to import, if it did before `started`.
    """

    settings: Settings
    section: Section
    wanted: object
    runner_class: RunnerClass | None
    dbuser: str | None
    logger: logging.Logger
    started: float
    session: Session | None
    tenure: Tenure | None = None
    imports_since: float | None = None


def _source(order: Order) -> object:
    if order.wanted is None:
        return find_source(order.settings, order.section)
    return source_of(order.wanted, "the script's source_interface", order.settings)


def runner_class_of(settings: Settings, section: Section) -> RunnerClass:
    """Return the runner class that a section names.

    Raises:
        ConfigurationError: there is no such class, or it is not a runner; see `find_named`.
    """
    name = section.runner_class
    if name == "JobRunner":
        return JobRunner
    if name in ("ProcessJobRunner", "TwistedJobRunner"):
        from jobcron.runner.isolated.runner import ProcessJobRunner

        return ProcessJobRunner
    place = f"{settings.path}: section [{section.name}], key runner_class"
    expected = "a runner class with for_source (short names: JobRunner, ProcessJobRunner)"
    # any object: the named object, before it is known to be a runner
    found = find_named(name, place, expected, lambda found: hasattr(found, "for_source"))
    return cast("RunnerClass", found)


def is_plain(chosen: RunnerClass) -> TypeGuard[type[JobRunner]]:
    """Return whether what makes a section's runner runs its jobs in the process that calls it."""
    return isinstance(chosen, type) and issubclass(chosen, JobRunner)


def limits_of(settings: Settings, section: Section) -> Limits:
    """Return the limits of a section's runs.

    Raises:
        ConfigurationError: the section asks for more workers than the database can serve.
    """
    if section.max_workers > 1 and backend_of(settings.database_url) == SQLITE:
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
        wait_for_code=section.wait_for_code,
        section=section.name,
        channel=section.channel or "",
    )


def _with_history(limits: Limits, database: TransactionSource, section: Section) -> Limits:
    """Return the limits with the duration of a job in earlier runs, if it is needed."""
    if limits.max_runtime is None:
        return limits
    with database.begin(writing=False) as connection:
        seconds = typical_seconds(connection, section.name)
    # Of parallel jobs, each takes longer than its share of the run.
    return limits._replace(typical_seconds=None if seconds is None else seconds * limits.max_workers)


def _open_database(order: Order) -> TransactionSource:
    if order.session is not None:
        return AmbientDatabase(order.session)
    settings = order.settings
    database = Database(
        settings.database_url,
        order.dbuser,
        origin=_origin(order),
        session_class=session_class_of(settings),
    )
    check_file(settings.database_url, database.where)
    return database


def _origin(order: Order) -> str:
    """Return where the database, and its role if there is one, are named, for messages."""
    origin = order.settings.database_origin
    if order.dbuser is None or backend_of(order.settings.database_url) != POSTGRESQL:
        return origin
    return f"{origin} and {order.settings.path}: section [{order.section.name}], key dbuser, role {order.dbuser}"
