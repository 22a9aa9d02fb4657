"""``jobcron crontab``: print the lines for the user's crontab."""

from __future__ import annotations

import argparse
import os

from jobcron.commands._output import say
from jobcron.errors import ConfigurationError
from jobcron.operations.processes.crontab import instance_line, line, runs_of
from jobcron.reports.complaints import complain
from jobcron.settings.instance import DATABASE_VARIABLE, load_settings
from jobcron.settings.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "--mail-to",
        metavar="ADDRESS",
        help="where cron mails errors to; by default failure_recipients, or else the user",
    )


def perform(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit status."""
    return crontab(options.config, options.mail_to)


def crontab(config: str | None, mail_to: str | None) -> int:
    """Print the lines, and return the exit status.

    Args:
        config: the value of ``--config``.
        mail_to: the address to which cron mails errors; None: ``failure_recipients``, or the crontab's owner;
            empty: nobody.

    Raises:
        ConfigurationError: the instance is wrong, or there is nothing to run.
    """
    settings = load_settings(config)
    if not settings.sections:
        raise ConfigurationError(f"{settings.path}: expected at least one section of jobs, found none")
    if mail_to is not None and (not mail_to.isprintable() or " " in mail_to):
        raise ConfigurationError(f"--mail-to: expected an address, got: {mail_to!r}")
    if os.environ.get(DATABASE_VARIABLE):
        complain(
            f"jobcron: {DATABASE_VARIABLE} is set here and not for cron: there the jobs are in the database that "
            f"{settings.path} names"
        )
    say("\n".join(lines(settings, mail_to)))
    return 0


def lines(settings: Settings, mail_to: str | None) -> list[str]:
    """Return the lines: variables for cron, and one line for each group or section."""
    if mail_to is None and settings.failure_recipients:
        mail_to = ",".join(settings.failure_recipients)
    mail = "# MAILTO=you@example.com" if mail_to is None else "MAILTO=" + (mail_to or '""')
    return [
        f"# The jobs of {settings.path}: put these lines into your crontab (crontab -e).",
        "# Each run appends to a log of its own; cron mails what goes to standard error, which is errors only.",
        mail,
        instance_line(settings),
        *(line(settings, schedule, words) for schedule, words in runs_of(settings)),
    ]
