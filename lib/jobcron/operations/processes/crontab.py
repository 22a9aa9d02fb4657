"""The lines of a crontab that start the runs of an instance."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence

from jobcron.errors import ConfigurationError
from jobcron.scripts.groups import groups_of
from jobcron.settings.instance import FILE_NAME
from jobcron.settings.settings import Section, Settings

PRUNE_SCHEDULE = "17 3 * * *"
"""Once a day, at a time that few other jobs use."""


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


def instance_line(settings: Settings) -> str:
    """Return the line that names the instance for all lines below it."""
    folder, name = os.path.split(settings.path)
    return f"JOBCRON_CONFIG={_variable(folder if name == FILE_NAME else settings.path)}"


def line(settings: Settings, schedule: str, words: Sequence[str]) -> str:
    """Return a line, given the words of its command, as of `runs_of`."""
    return f"{schedule}  {_command(settings, *words)}"


def line_of(settings: Settings, section: Section) -> str:
    """Return the line that runs a section, or its group; which instance it is of stands above all lines."""
    if section.crontab_group is None:
        return line(settings, section.schedule, ["run", section.name])
    return line(settings, section.schedule, ["process-job-sources", section.crontab_group])


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
    for found in (sys.argv[0], os.path.join(os.path.dirname(sys.executable), "jobcron")):
        if os.path.basename(found) == "jobcron" and os.path.isfile(found):
            return [os.path.join(os.getcwd(), found)]
    return [sys.executable, "-m", "jobcron.commands"]
