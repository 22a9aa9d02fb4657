"""The subcommands for jobs of several tasks, named as django-db-queue's management commands (DBQ-06).

Names and options can be written with hyphens or, as there, with underscores.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jobcron.commands._output import say
from jobcron.database.database import Database
from jobcron.database.version import check_schema
from jobcron.errors import ConfigurationError, InvalidJobData, UnknownJobType
from jobcron.reports.logs import visible
from jobcron.runner.application import load_application
from jobcron.settings.instance import load_settings, presented
from jobcron.settings.settings import Settings

MAX_HOURS = 1_000_000


def add_commands(commands: Any) -> None:
    """Add the subcommands to a parser's; each sets ``perform``, which runs it and returns the exit status."""
    old = _add(commands, "delete_old_jobs", delete_old_jobs, "delete jobs of several tasks that have ended")
    old.add_argument("--hours", type=_hours, default=24, help="those made so long ago; by default %(default)s")
    making = _add(commands, "create_job", create_job, "make a job of several tasks")
    making.add_argument("name", metavar="NAME", help="what the configuration or the application calls such jobs")
    making.add_argument("--queue-name", "--queue_name", metavar="QUEUE", help="by default that of such jobs")
    making.add_argument("--workspace", metavar="JSON", type=_workspace, help="what the tasks begin with")
    depth = _add(commands, "queue_depth", queue_depth, "tell how many jobs of several tasks wait in queues")
    depth.add_argument("queues", nargs="*", default=["default"], metavar="QUEUE", help="by default %(default)s")
    depth.add_argument(
        "--exclude-future-jobs",
        "--exclude_future_jobs",
        action="store_true",
        help="count only those whose time has come",
    )
    # The original's option takes a value. One that takes a value or none would take a queue for it.
    depth.add_argument(
        "--exclude_future_jobs=True", dest="exclude_future_jobs", action="store_true", help=argparse.SUPPRESS
    )
    moving = _add(
        commands, "import_django_db_queue", import_django_db_queue, "copy django-db-queue's waiting jobs"
    )
    moving.add_argument("source", metavar="SOURCE_URL", help="the database that has the table django_dbq_job")
    moving.add_argument("--dry-run", "--dry_run", action="store_true", help="only say what would be copied")
    moving.add_argument(
        "--processing", action="store_true", help="also jobs whose worker was stopped: their task runs again"
    )


def _add(commands: Any, name: str, perform: Callable[[argparse.Namespace], int], text: str) -> Any:
    parser = commands.add_parser(name.replace("_", "-"), aliases=[name], help=text)
    parser.set_defaults(perform=perform)
    return parser


def _hours(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_HOURS:
        raise argparse.ArgumentTypeError(f"expected a whole number of hours, 1 to {MAX_HOURS}, got: {text!r}")
    return int(text)


def _workspace(text: str) -> Any:
    from jobcron.steps.values import read_json

    try:
        found = read_json(text)
    except InvalidJobData as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f'expected a JSON object such as {{"key": 1}}, got: {text:.200}')
    return found


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[tuple[Settings, Database]]:
    """Yield the settings, and the database once its tables are known to fit; the application is imported."""
    settings = load_settings(options.config)
    with presented(settings):
        load_application(settings)
        database = Database(settings.database_url, origin=settings.database_origin)
        try:
            with database.begin(writing=False) as connection:
                where = f"{database.describe()} ({database.origin})"
                check_schema(connection, where, logging.getLogger("jobcron"))
            yield settings, database
        finally:
            database.close()


def delete_old_jobs(options: argparse.Namespace) -> int:
    """Delete jobs in the states COMPLETE and FAILED."""
    from jobcron.steps.delete_old import delete_old

    with _opened(options) as (_, database):
        deleted = delete_old(database, options.hours)
    say(f"Deleted old jobs: {deleted}")
    return 0


def create_job(options: argparse.Namespace) -> int:
    """Make a job."""
    from jobcron.database.sessions import use_session
    from jobcron.steps.definitions import job_class, job_classes

    values = {} if options.queue_name is None else {"queue_name": options.queue_name}
    with _opened(options) as (settings, database), database.session() as session, use_session(session):
        try:
            found = job_class(options.name, settings)
        except UnknownJobType:
            known = ", ".join(sorted(job_classes())) or "none"
            raise ConfigurationError(
                f"expected the name of jobs of several tasks, got: {options.name}; there are: {known}"
            ) from None
        try:
            job = found.create(session=session, workspace=options.workspace, **values)
        except InvalidJobData as error:
            raise ConfigurationError(f"create_job {options.name}: {error}") from error
        session.commit()
        say(f'Created job: "{job.name}", id={job.id} for queue "{job.queue_name}"')
    return 0


def queue_depth(options: argparse.Namespace) -> int:
    """Print how many jobs wait in each queue, in the form that django-db-queue has."""
    from jobcron.steps.queues import queue_depths

    with _opened(options) as (_, database), database.begin(writing=False) as connection:
        depths = queue_depths(connection, exclude_future_jobs=options.exclude_future_jobs)
    say(f"event=queue_depths {' '.join(f'{name}={depths.get(name, 0)}' for name in options.queues)}")
    return 0


def import_django_db_queue(options: argparse.Namespace) -> int:
    """Copy jobs, say what was done with each kind, and return 1 where some could not be copied."""
    from jobcron.steps.import_jobs import move

    with _opened(options) as (_, database):
        report = move(options.source, database, is_dry=options.dry_run, with_processing=options.processing)
    for line in report.lines(options.dry_run):
        say(visible(line))  # the old table may say anything
    return 1 if report.refused else 0
