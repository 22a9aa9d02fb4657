"""``jobcron import-django-db-queue``: copy the waiting jobs from django-db-queue's table."""

from __future__ import annotations

import argparse

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.reports.logs import visible
from jobcron.steps.import_jobs import move


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add = parser.add_argument
    add("source", metavar="SOURCE_URL", help="the database that has the table django_dbq_job")
    add("--dry-run", "--dry_run", action="store_true", help="only say what would be copied")
    add("--processing", action="store_true", help="copy also jobs whose worker was stopped; their task runs again")


def perform(options: argparse.Namespace) -> int:
    """Copy jobs, and print what was done with each kind; return 1 if some could not be copied, else 0.

    Raises:
        UserMistake: the configuration or one of the databases is wrong.
    """
    with opened_database(options.config) as (_, database):
        report = move(options.source, database, is_dry=options.dry_run, with_processing=options.processing)
    for line in report.lines(options.dry_run):
        say(visible(line))  # the old table may contain anything
    return 1 if report.refused else 0
