"""``jobcron crontab``: the lines for the user's crontab."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from jobcron.errors import ConfigurationError
from jobcron.instance import DATABASE_VARIABLE, load_settings
from jobcron.settings import Section, Settings


def crontab(config: str | None, mail_to: str | None) -> int:
    """Print the lines, and return the exit status.

    Args:
        config: as of ``--config``.
        mail_to: where cron mails what goes wrong; None: to the crontab's owner.

    Raises:
        ConfigurationError: something is wrong with the instance, or there is nothing to run.
    """
    settings = load_settings(config)
    if not settings.sections:
        raise ConfigurationError(f"{settings.path}: expected at least one section of jobs, found none")
    if mail_to is not None and (not mail_to.isprintable() or " " in mail_to):
        raise ConfigurationError(f"--mail-to: expected an address, got: {mail_to!r}")
    if os.environ.get(DATABASE_VARIABLE):
        print(
            f"jobcron: {DATABASE_VARIABLE} is set here and not for cron: there the jobs are in the database that "
            f"{settings.path} names",
            file=sys.stderr,
        )
    print("\n".join(lines(settings, mail_to)))
    return 0


def lines(settings: Settings, mail_to: str | None) -> list[str]:
    """Return the lines: what cron has to know, and one for each section."""
    return [
        f"# The jobs of {settings.path}: put these lines into your crontab (crontab -e).",
        "# Each run appends to a log of its own; cron mails what goes to standard error, which is errors only.",
        f"MAILTO={mail_to}" if mail_to else "# MAILTO=you@example.com",
        f"JOBCRON_CONFIG={_variable(os.path.dirname(settings.path))}",
        *(f"{section.schedule}  {_command(settings, section)}" for section in settings.sections.values()),
    ]


def _variable(value: str) -> str:
    """Return a value as cron reads it in an assignment, where quotes keep blanks at the ends."""
    return value if value == value.strip() and not value.startswith(("'", '"')) else f'"{value}"'


def _command(settings: Settings, section: Section) -> str:
    log = os.path.join(settings.state_dir, "log", f"{section.name}.log")
    command = [*command_path(), "run", section.name, "-q", "-q", f"--log-file=INFO:{log}"]
    # cron makes a line break of each % that has no \ before it, and takes that \ away
    return shlex.join(command).replace("%", r"\%")


def command_path() -> list[str]:
    """Return how to start this environment's ``jobcron``, to which cron's PATH does not lead."""
    for found in (Path(sys.argv[0]), Path(sys.executable).with_name("jobcron")):
        if found.name == "jobcron" and found.is_file():
            return [str(found.absolute())]
    return [sys.executable, "-m", "jobcron.operate"]
