"""``jobcron crontab``: print the lines for the user's crontab."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from jobcron.commands._output import say
from jobcron.errors import ConfigurationError
from jobcron.reports.logs import complain
from jobcron.scripts.groups import groups_of
from jobcron.settings.instance import DATABASE_VARIABLE, FILE_NAME, load_settings
from jobcron.settings.settings import Section, Settings

PRUNE_SCHEDULE = "17 3 * * *"
"""Once a day, at a time that few other jobs use."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "--mail-to",
        metavar="ADDRESS",
        help="where cron mails errors; by default to failure_recipients, or to the user",
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
    folder, name = os.path.split(settings.path)
    instance = folder if name == FILE_NAME else settings.path
    if mail_to is None and settings.failure_recipients:
        mail_to = ",".join(settings.failure_recipients)
    mail = "# MAILTO=you@example.com" if mail_to is None else "MAILTO=" + (mail_to or '""')
    return [
        f"# The jobs of {settings.path}: put these lines into your crontab (crontab -e).",
        "# Each run appends to a log of its own; cron mails what goes to standard error, which is errors only.",
        mail,
        f"JOBCRON_CONFIG={_variable(instance)}",
        *(f"{schedule}  {_command(settings, *words)}" for schedule, words in runs_of(settings)),
    ]


def runs_of(settings: Settings) -> Iterator[tuple[str, list[str]]]:
    """Yield the schedule and the command of each group, and of each section outside any group.

    Raises:
        ConfigurationError: the sections of a group have different schedules.
    """
    for group, sections in groups_of(settings).items():
        yield group_schedule(settings, group, sections), ["process-job-sources", group]
    for section in settings.sections.values():
        if section.crontab_group is None:
            yield section.schedule, ["run", section.name]
    yield PRUNE_SCHEDULE, ["prune"]


def group_schedule(settings: Settings, group: str, sections: list[Section]) -> str:
    """Return the schedule that a group's sections share.

    Raises:
        ConfigurationError: their schedules differ.
    """
    first, *others = sections
    for other in others:
        if other.schedule != first.schedule:
            raise ConfigurationError(
                f"{settings.path}: section [{other.name}], key schedule: expected {first.schedule}, as in section "
                f"[{first.name}] of the same crontab_group {group}, got: {other.schedule}"
            )
    return first.schedule


def _variable(value: str) -> str:
    """Return a value in the form that cron reads in an assignment, where quotes keep blanks at the ends."""
    return value if value == value.strip() and not value.startswith(("'", '"')) else f'"{value}"'


def _command(settings: Settings, subcommand: str, *names: str) -> str:
    log_name = ".".join(names if subcommand == "run" else (subcommand, *names))
    log = os.path.join(settings.state_dir, "log", f"{log_name}.log")
    command = [*command_path(), subcommand, *names, "-q", "-q", f"--log-file=INFO:{log}"]
    return " ".join(_quoted(word) for word in command)


def _quoted(word: str) -> str:
    """Quote a word for cron and then the shell.

    Cron turns each % without a backslash into a line break. Some crons then remove that backslash; others
    leave it to the shell, which removes it only outside quotes.
    """
    quoted = shlex.quote(word)
    return quoted.replace("%", r"'\%'" if quoted.startswith("'") else r"\%")


def command_path() -> list[str]:
    """Return the command that starts this environment's ``jobcron``, which is not on cron's PATH."""
    for found in (Path(sys.argv[0]), Path(sys.executable).with_name("jobcron")):
        if found.name == "jobcron" and found.is_file():
            return [str(found.absolute())]
    return [sys.executable, "-m", "jobcron.commands"]
