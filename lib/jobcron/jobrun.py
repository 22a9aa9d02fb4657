"""One run of one section, once something may be ready: application, database, source, runner, counts."""

from __future__ import annotations

import importlib
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jobcron import registry
from jobcron.activity import record_run
from jobcron.application import find_source, load_application, source_of
from jobcron.database import AmbientDatabase, Database, TransactionSource, ambient_session
from jobcron.errors import ConfigurationError
from jobcron.notify import Outbox, post
from jobcron.oops import globalErrorUtility
from jobcron.runner import JobRunner, Limits
from jobcron.schema_version import check_schema

if TYPE_CHECKING:
    from jobcron.script import JobCronScript
    from jobcron.settings import Section, Settings


def run_section(script: JobCronScript) -> int:
    """Run the ready jobs of a script's section, and return its exit status.

    Raises:
        UserMistake: configuration, database or schema are not as they should be.
    """
    settings, section = script.settings, script.section
    globalErrorUtility.configure(section.name, settings)
    application = load_application(settings)
    source = _source(script, settings, section)
    runner_class = script.runner_class() or _runner_class(settings, section)
    database = _open_database(script, settings)
    try:
        with database.begin() as connection:
            if isinstance(database, Database):
                check_schema(connection, f"{database.describe()} ({database.origin})", script.logger)
            registry.sync_registered(connection)
        _address_mail(database, settings)
        limits = Limits(section.batch_size, settings.crash_limit, settings.grace_seconds)
        runner = runner_class.runFromSource(
            source, database, script.logger, application=application, limits=limits
        )
        _tell_counts(script, runner)
        with database.begin() as connection:
            record_run(
                connection,
                section.name,
                time.monotonic() - script.started,
                runner.completed.total(),
                runner.incomplete.total(),
                len(runner.oops_ids),
                settings.activity_interval,
            )
    finally:
        database.close()
        session = ambient_session()
        if database.is_ambient and session is not None:
            session.expire_all()
    failed = runner.incomplete.total() > 0
    return 1 if failed and script.options.fail_on_job_failure else 0


def _source(script: JobCronScript, settings: Settings, section: Section) -> Any:
    wanted = script.source_interface
    if wanted is None:
        return find_source(settings, section)
    return source_of(wanted, f"{type(script).__name__}.source_interface", settings)


def _runner_class(settings: Settings, section: Section) -> Any:
    name = section.runner_class
    if name == "JobRunner":
        return JobRunner
    place = f"{settings.path}: section [{section.name}], key runner_class"
    module, _, attribute = name.rpartition(".")
    found = None
    with suppress(ImportError):
        found = getattr(importlib.import_module(module), attribute, None) if module else None
    if not hasattr(found, "runFromSource"):
        raise ConfigurationError(
            f"{place}: expected JobRunner or the dotted name of a class with runFromSource, got: {name}"
        )
    return found


def _open_database(script: JobCronScript, settings: Settings) -> TransactionSource:
    session = ambient_session() if script.in_test else None
    if session is not None:
        return AmbientDatabase(session)
    return Database(settings.database_url, script.dbuser, origin=settings.database_origin)


def _address_mail(database: TransactionSource, settings: Settings) -> None:
    if database.is_ambient:
        if not isinstance(post.transport, Outbox):
            post.transport = Outbox()
    else:
        post.configure(settings.mail, settings.mail_from)


def _tell_counts(script: JobCronScript, runner: JobRunner) -> None:
    counts: tuple[tuple[Counter[str], str], ...] = (
        (runner.completed, "Ran %d %s jobs."),
        (runner.incomplete, "%d %s jobs did not complete."),
    )
    for counted, text in counts:
        for name in sorted(counted):
            script.logger.info(text, counted[name], name)
