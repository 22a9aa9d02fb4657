"""``jobcron queue-depth``: count the waiting jobs in queues, as django-db-queue's command does (DBQ-06)."""

from __future__ import annotations

import argparse

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.reports.logs import complain
from jobcron.settings.suggestions import suggestion
from jobcron.steps.queues import is_used, known_queues, queue_depths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add = parser.add_argument
    add("queues", nargs="*", default=["default"], metavar="QUEUE", help="the queues; by default %(default)s")
    add(
        "--exclude-future-jobs",
        "--exclude_future_jobs",
        action="store_true",
        help="count only jobs that are due",
    )
    # The original's option takes a value. With an optional value, it would swallow a queue's name.
    add("--exclude_future_jobs=True", dest="exclude_future_jobs", action="store_true", help=argparse.SUPPRESS)


def perform(options: argparse.Namespace) -> int:
    """Print how many jobs wait in each queue, in django-db-queue's form, and return the exit status.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """
    with opened_database(options.config) as (settings, database), database.begin(writing=False) as connection:
        depths = queue_depths(connection, exclude_future_jobs=options.exclude_future_jobs)
        known = known_queues(settings) | depths.keys()
        unknown = [name for name in options.queues if name not in known and not is_used(connection, name)]
    if unknown:
        # On standard error: who reads the line on standard output expects a number for each name.
        complain(
            f"jobcron: warning: queue-depth: expected queues that a section, a definition or a job has, got: "
            f"{', '.join(unknown)}; they are: {', '.join(sorted(known))}{suggestion(unknown[0], known)}"
        )
    say(f"event=queue_depths {' '.join(f'{name}={depths.get(name, 0)}' for name in options.queues)}")
    return 0
