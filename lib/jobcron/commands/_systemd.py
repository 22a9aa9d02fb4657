"""``jobcron systemd``: print services and timers, which do what the lines of a crontab do."""

from __future__ import annotations

import argparse
import getpass
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from cronsim import CronSim

from jobcron.commands._output import say
from jobcron.errors import ConfigurationError
from jobcron.operations.processes.crontab import command_path, runs_of
from jobcron.reports.plurals import counted
from jobcron.schedules.timetable import is_time_zone
from jobcron.settings.cron import FIELDS, REBOOT, fields_of
from jobcron.settings.database_url import sqlite_path
from jobcron.settings.instance import FILE_NAME, load_settings
from jobcron.settings.settings import Settings

FOLDER = "/etc/systemd/system"

STOP_SLACK = 30
"""Seconds after ``grace_seconds`` when systemd kills a run."""

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")

HARDENING = """\
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes"""

SERVICE = """\
[Unit]
Description=jobcron {instance}: {words}

[Service]
Type=oneshot
User={user}
Environment={environment}
ExecStart={command}
# Another run of the section is in progress.
SuccessExitStatus=3
# Only the run itself is asked to stop: it tells its jobs, which have {grace}.
KillMode=mixed
TimeoutStopSec={stop:g}
{hardening}
ReadWritePaths={paths}
"""

TIMER = """\
[Unit]
Description=jobcron {instance}: {words}, by the schedule {schedule}

[Timer]
{times}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add = parser.add_argument
    add("--user", metavar="USER", help="who runs the jobs; by default you")
    add("--time-zone", metavar="ZONE", help="the time zone of the schedules; by default the machine's")
    add(
        "--write-path",
        action="append",
        default=[],
        metavar="PATH",
        help="let jobs write to this path as well; may be repeated",
    )
    add(
        "--to",
        metavar="FOLDER",
        help=f"write the units to this folder, such as {FOLDER}, instead of printing them",
    )


def perform(options: argparse.Namespace) -> int:
    """Print or write the units, and return the exit status.

    Raises:
        UserMistake: the configuration or an option is wrong.
    """
    settings = load_settings(options.config)
    found = units(settings, options.user or getpass.getuser(), options.time_zone, options.write_path)
    if options.to is None:
        say("\n".join(f"# {FOLDER}/{name}\n{text}" for name, text in found.items()))
        return 0
    for name, text in found.items():
        try:
            Path(options.to, name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"--to: cannot write {name} in {options.to}: {error.strerror}") from error
    timers = " ".join(name for name in found if name.endswith(".timer"))
    say(f"systemctl daemon-reload\nsystemctl enable --now {timers}")
    return 0


def units(settings: Settings, user: str, time_zone: str | None, paths: Sequence[str] = ()) -> dict[str, str]:
    """Return the text of each unit by its name: a service and a timer for each line of the crontab.

    Raises:
        ConfigurationError: the sections of a group have different schedules, or an option is wrong.
    """
    _check_options(user, time_zone, paths)
    folder, file_name = os.path.split(settings.path)
    instance = folder if file_name == FILE_NAME else settings.path
    shown = re.sub(r"[^\w.-]", "_", settings.instance, flags=re.ASCII)
    writable = [*_written(settings), *map(os.path.abspath, paths)]
    found = {}
    for schedule, words in runs_of(settings):
        name = "-".join(["jobcron", shown, *(words[1:] if words[0] == "run" else words)])
        said = {"instance": shown, "words": " ".join(words), "schedule": schedule}
        found[f"{name}.service"] = SERVICE.format(
            **said,
            user=user,
            environment=quoted(f"JOBCRON_CONFIG={instance}"),
            command=" ".join(quoted(word).replace("$", "$$") for word in [*command_path(), *words]),
            grace=counted(settings.grace_seconds, "second"),
            stop=settings.grace_seconds + STOP_SLACK,
            hardening=HARDENING,
            paths=" ".join(quoted(f"-{path}") for path in dict.fromkeys(writable)),
        )
        times = [f"OnCalendar={time}{f' {time_zone}' if time_zone else ''}" for time in calendar_times(schedule)]
        found[f"{name}.timer"] = TIMER.format(**said, times="\n".join(times) or "OnBootSec=1s")
    return found


def _check_options(user: str, time_zone: str | None, paths: Sequence[str]) -> None:
    if not re.fullmatch(r"[\w.-]+\$?", user):
        raise ConfigurationError(f"--user: expected the name of a user, got: {user!r}")
    if time_zone is not None and not is_time_zone(time_zone):
        raise ConfigurationError(f"--time-zone: expected a name such as Europe/Berlin, got: {time_zone!r}")
    for path in paths:
        if not path.isprintable():
            raise ConfigurationError(f"--write-path: expected a path in one line, got: {path!r}")


def _written(settings: Settings) -> Iterator[str]:
    """Yield the folders that a run writes to."""
    yield settings.state_dir
    yield settings.lock_dir
    yield from settings.report_directories()
    if path := sqlite_path(settings.database_url):
        yield os.path.dirname(path)
    if settings.metrics_dir:
        yield settings.metrics_dir
    if settings.mail and settings.mail.startswith("file:"):
        yield settings.mail.removeprefix("file:")


def quoted(word: str) -> str:
    """Return a word as systemd reads it: quoted if need be, and without its specifiers."""
    word = word.replace("%", "%%")
    if re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def calendar_times(schedule: str) -> list[str]:
    """Return a checked schedule of cron as systemd's calendar has it: two times if cron's days are alternatives.

    ``@reboot`` has none.
    """
    if schedule == REBOOT:
        return []
    fields = fields_of(schedule)
    parsed = CronSim(" ".join(fields), datetime(2024, 1, 1))
    minutes = _listed(parsed.minutes, "minute")
    hours = _listed(parsed.hours, "hour")
    months = _listed(parsed.months, "month")
    days = _listed(parsed.days, "day-of-month")
    numbers = sorted({int(str(day)) % 7 for day in parsed.weekdays})
    names = "" if len(numbers) == 7 else ",".join(DAYS[number] for number in numbers) + " "
    clock = f"{hours}:{minutes}:00"
    if parsed.day_and:
        return [f"{names}*-{months}-{days} {clock}"]
    return [f"*-{months}-{days} {clock}", f"{names}*-{months}-* {clock}"]


def _listed(values: set[int], field: str) -> str:
    """Return the values of a field, as a list or an asterisk."""
    least, most = FIELDS[field]
    if values == set(range(least, most + 1)):
        return "*"
    return ",".join(f"{value:02}" for value in sorted(values))
