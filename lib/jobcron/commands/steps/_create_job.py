"""``jobcron create-job``: create a job of several tasks, as django-db-queue's command does (DBQ-06)."""

from __future__ import annotations

import argparse

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.database.sessions import use_session
from jobcron.errors import ConfigurationError, InvalidJobData, UnknownJobType
from jobcron.settings.suggestions import suggestion
from jobcron.steps.definitions import job_class, job_classes
from jobcron.steps.values import read_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the name of the definition")
    add("--queue-name", "--queue_name", metavar="QUEUE", help="the queue; by default the definition's")
    add("--workspace", metavar="JSON", type=_workspace, help="the initial workspace")


def _workspace(text: str) -> dict[str, object]:
    try:
        found = read_json(text)
    except InvalidJobData as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f'expected a JSON object such as {{"key": 1}}, got: {text:.200}')
    return found


def perform(options: argparse.Namespace) -> int:
    """Create a job, and return the exit status.

    Raises:
        UserMistake: the instance is wrong, the job's name is unknown, or the workspace does not fit.
    """
    values = {} if options.queue_name is None else {"queue_name": options.queue_name}
    opened = opened_database(options.config)
    with opened as (settings, database), database.session() as session, use_session(session):
        try:
            found = job_class(options.name, settings)
        except UnknownJobType:
            known = ", ".join(sorted(job_classes())) or "none"
            raise ConfigurationError(
                f"expected the name of jobs of several tasks, got: {options.name}; there are: {known}"
                f"{suggestion(options.name, job_classes())}"
            ) from None
        try:
            job = found.create(session=session, workspace=options.workspace, **values)
        except InvalidJobData as error:
            raise ConfigurationError(f"create_job {options.name}: {error}") from error
        session.commit()
        say(f'Created job: "{job.name}", id={job.id} for queue "{job.queue_name}"')
    return 0
