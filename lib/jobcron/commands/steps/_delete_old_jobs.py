"""``jobcron delete-old-jobs``: delete jobs of several tasks, as django-db-queue's command does (DBQ-06)."""

from __future__ import annotations

import argparse

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.steps.delete_old import delete_old

MAX_HOURS = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "--hours", type=_hours, default=24, help="the least age of the jobs, in hours; by default %(default)s"
    )


def _hours(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_HOURS:
        raise argparse.ArgumentTypeError(f"expected a whole number of hours, 1 to {MAX_HOURS}, got: {text!r}")
    return int(text)


def perform(options: argparse.Namespace) -> int:
    """Delete jobs in the states COMPLETE and FAILED, and return the exit status.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """
    with opened_database(options.config) as (_, database):
        deleted = delete_old(database, options.hours)
    say(f"Deleted old jobs: {deleted}")
    return 0
