"""A worker of Celery's for an instance: its application, and what is checked when it starts."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NoReturn, Protocol

import click
from celery import Celery
from celery.signals import celeryd_init, setup_logging, worker_process_shutdown, worker_shutdown
from click.core import ParameterSource
from kombu.entity import Queue

from jobcron.celery._application import TASK, application_of, celery_sections, queue_of
from jobcron.celery._broker import check_broker
from jobcron.celery._receiving import Receiving
from jobcron.database.database import Database
from jobcron.database.version import check_file, check_schema
from jobcron.errors import ConfigurationError, DatabaseUnavailable, UserMistake
from jobcron.reports.logs import add_log_file, complain, set_up_log
from jobcron.settings.database_url import SQLITE, backend_of
from jobcron.settings.directories import private_directory
from jobcron.settings.instance import BROKER_VARIABLE, load_settings
from jobcron.settings.secrets import hide
from jobcron.settings.settings import Settings

POOLS = ("prefork", "solo", "processes")
"""The pools in which a job has a process, and its main thread, for itself; threads would share both."""

QUEUE_OPTIONS = ("queues", "exclude_queues")

QUIET = ("celery.worker.strategy", "celery.app.trace")
"""Loggers that say of each message that it came and went: jobs have lines of their own."""


class Request(Protocol):
    """What Celery tells a task of its message."""

    delivery_info: dict[str, object]


class Task(Protocol):
    """A bound task of Celery's."""

    request: Request


class Conf(Protocol):
    """What of an application's configuration is read or set here."""

    worker_pool: str
    worker_concurrency: int | None


def worker_app() -> Celery:
    """Return the application of the instance that JOBCRON_CONFIG names, with its task.

    On the command line of Celery's, a mistake ends the program, with one message and status 2.

    Raises:
        ConfigurationError: the instance is wrong, or names no broker.
    """
    try:
        return _worker_app()
    except UserMistake as error:
        if click.get_current_context(silent=True) is None:
            raise
        _leave(error)


def _worker_app() -> Celery:
    settings = load_settings()
    hide(settings.secrets())
    if settings.celery_broker_url is None:
        raise ConfigurationError(
            f"{settings.place('celery_broker_url')}: expected the URL of a broker, got nothing"
        )
    if not celery_sections(settings):
        raise ConfigurationError(f"{settings.path}: expected a section of jobs for Celery, found none")
    app = application_of(settings)
    receiving = Receiving(settings)

    def run(task: Task, job_id: object) -> None:
        receiving.run(task.request.delivery_info.get("routing_key"), job_id)

    app.task(run, name=TASK, bind=True, ignore_result=True, acks_late=False, max_retries=0)
    _connect(app, receiving)
    return app


def _connect(app: Celery, receiving: Receiving) -> None:
    """Do what is to be done at the moments of which Celery tells."""

    def start(conf: Conf, options: dict[str, object], **more: object) -> None:
        try:
            _check(receiving.settings, conf, options)
            receiving.prepare()
            check_broker(app, receiving.settings, _queues_of(receiving.settings, options))
        except UserMistake as error:
            _leave(error)

    def set_up(loglevel: int, logfile: str | None, **more: object) -> None:
        set_up_log(loglevel, with_time=True)
        if logfile:
            add_log_file(loglevel, logfile, "--logfile")
        for name in QUIET if loglevel > logging.DEBUG else ():
            logging.getLogger(name).setLevel(logging.WARNING)

    def end(**more: object) -> None:
        receiving.close()

    celeryd_init.connect(start, weak=False)
    setup_logging.connect(set_up, weak=False)
    worker_process_shutdown.connect(end, weak=False)
    worker_shutdown.connect(end, weak=False)


def _check(settings: Settings, conf: Conf, options: dict[str, object]) -> None:
    """Check what is asked of the worker, and the database.

    Raises:
        UserMistake: it cannot be served.
    """
    pool = options.get("pool") or conf.worker_pool
    name = pool if isinstance(pool, str) else getattr(pool, "__module__", "")  # any object: a pool of Celery's
    if not name.endswith(POOLS):
        raise ConfigurationError(
            f"expected --pool to be one of {', '.join(POOLS)}, got {name}: a job needs a process"
        )
    if options.get("beat"):
        raise ConfigurationError(
            "expected no --beat: [schedule:NAME] creates jobs, once for each slot on all hosts"
        )
    _check_no_other_broker(settings)
    _check_queues(settings, options)
    if backend_of(settings.database_url) == SQLITE:
        if options.get("concurrency") not in (None, 0, 1):
            raise ConfigurationError(
                f"{settings.database_origin}: expected --concurrency 1 for an SQLite database, where one job "
                f"writes at a time, got: {options['concurrency']}"
            )
        options["concurrency"] = conf.worker_concurrency = 1
    private_directory(settings.state_dir, f"{settings.place('state_dir')}: the state directory")
    database = Database(settings.database_url, origin=settings.database_origin)
    try:
        check_file(settings.database_url, database.where)
        with database.begin(writing=False) as connection:
            check_schema(connection, database.where, logging.getLogger())
    except DatabaseUnavailable as error:
        complain(f"jobcron: {error}; it is asked again for each job")
    finally:
        database.close()  # nothing stays open: processes are forked


def _check_no_other_broker(settings: Settings) -> None:
    """Refuse options of Celery's that name another broker: it would get messages from nobody.

    Raises:
        ConfigurationError: there is one.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return
    named = settings.place("celery_broker_url")
    for name, instead in (
        ("broker", f"{named}, or the variable {BROKER_VARIABLE}, names the broker"),
        ("result_backend", "jobs have their results in the database"),
    ):
        if context.find_root().get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise ConfigurationError(f"expected no --{name.replace('_', '-')}: {instead}")


def _check_queues(settings: Settings, options: dict[str, object]) -> None:
    """Check that the worker receives from queues that there are.

    Raises:
        ConfigurationError: it is to receive from others, or from none.
    """
    known = sorted({section.offers_in for section in celery_sections(settings)})
    for option in QUEUE_OPTIONS:
        found = [name for name in _names(options.get(option)) if name not in known]
        if found:
            raise ConfigurationError(
                f"expected --{option.replace('_', '-')} to be of {', '.join(known)}, the queues in "
                f"{settings.path}, got: {', '.join(found)}"
            )


def _queues_of(settings: Settings, options: dict[str, object]) -> list[Queue]:
    """Return the queues from which the worker receives."""
    chosen, excluded = (_names(options.get(option)) for option in QUEUE_OPTIONS)
    queues = {section.offers_in: queue_of(section) for section in celery_sections(settings)}
    return [queue for name, queue in queues.items() if (not chosen or name in chosen) and name not in excluded]


def _names(value: object) -> list[str]:
    """Return the names in an option of Celery's, which may be a text or a list."""
    value = value.split(",") if isinstance(value, str) else value
    return [str(name) for name in value] if isinstance(value, Iterable) else []


def _leave(error: UserMistake) -> NoReturn:
    complain(f"jobcron: {error}")
    raise SystemExit(2) from None
