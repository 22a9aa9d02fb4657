"""The settings of an instance, as frozen values.

`reading` makes them from a configuration; `_compiled` keeps a copy that a tick reads cheaply.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from jobcron.errors import ConfigurationError
from jobcron.settings.database_url import passwords_in

ROOM = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(ROOM)
CONFIGS = os.path.join(ROOM, "configs")
SCHEMA = os.path.join(CONFIGS, "schema.conf")

INSTANCE = "jobcron"
"""The section of the instance itself."""

SECTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""The form of a section's, lock's or prefix's name, checked before it becomes part of a path."""

CHANNEL_NAME = re.compile(r"(?=.{1,200}\Z)root(\.[A-Za-z0-9_-]+)*")
"""The form of a channel's name: its path from the root of the tree of channels."""

CHANNEL_RULE = "root, or root. and names of letters, digits, _ and - with dots between them"
"""That form in words; such a name has 200 characters at most."""

LEAST_NAME = 3
"""The length of the shortest name of a section, or of a schedule."""

GROUPS_CONTROL = "process-job-sources"
"""The name in the control file of the script that runs groups of sections."""

CLUSTER = "cluster"
"""The key ``lock`` of a section of which one run goes on at a time, on whatever host."""

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
"""The log's levels: those of logging, whose import would take a good part of a tick."""

LEVEL_STEP = 10
"""How much each ``-v`` lowers the level, and each ``-q`` raises it."""


class Section(NamedTuple):
    """A section of jobs. See ``configs/schema.conf`` for the meaning of the values."""

    name: str
    source_interface: str | None
    dbuser: str | None
    runner_class: str
    max_workers: int
    batch_size: int
    schedule: str
    crontab_group: str | None
    max_runtime: float | None
    wait_for_code: float | None
    oops_prefix: str | None
    error_dir: str | None
    failure_recipients: list[str] | None
    keep_completed: float | None
    keep_failed: float | None
    keep_cancelled: float | None
    keep_functions: dict[str, float | None] | None
    keep_newest_of_target: bool
    alert_silence: list[float] | str | None
    alert_waiting: list[float] | None
    alert_failures: list[int] | None
    alert_running: list[float] | str | None
    ping_url: str | None
    functions: list[str] | None
    tasks: list[str] | None
    creation_hook: str | None
    failure_hook: str | None
    pre_task_hook: str | None
    post_task_hook: str | None
    queue: str | None
    channel: str | None
    dispatch: str | None
    dispatch_queue: str | None
    lock: str
    lock_lease: float

    @property
    def is_alone_everywhere(self) -> bool:
        """Whether one run of the section goes on at a time on all hosts, not on each of them."""
        return self.lock == CLUSTER

    @property
    def offers_in(self) -> str:
        """The dispatcher's queue for the section."""
        return self.dispatch_queue or f"jobcron.{self.name}"


class Channel(NamedTuple):
    """The limits of a channel. See ``configs/schema.conf`` for the meaning of the values."""

    name: str
    capacity: int | None = None
    per_key: int | None = None
    throttle: list[float] | None = None
    sequential: str | None = None


class Schedule(NamedTuple):
    """A schedule that creates jobs. See ``configs/schema.conf`` for the meaning of the values.

    Attributes:
        arguments: a JSON object.
    """

    name: str
    job: str
    arguments: str = "{}"
    cron: str | None = None
    every: int | None = None
    time_zone: str = "UTC"
    missed: str = "once"
    missed_grace: float | None = None
    missed_bound: int = 100
    overlap: str = "skip"
    enabled: bool = True
    renamed_from: str | None = None


class Settings(NamedTuple):
    """The settings of an instance. See ``configs/schema.conf`` for the meaning of the values.

    Attributes:
        path: the configuration file.
        database_url: as `load_settings` returns it, always a URL; as it is kept compiled, it may be the name by
            which the application has its own.
        database_origin: where ``database_url`` was found, for messages.
        sections: the sections of jobs, by name.
        schedules: the schedules, by name.
        channels: the channels that have limits, by name.
    """

    path: str
    database_url: str
    database_origin: str
    application: str | None
    job_packages: list[str] | None
    transactions: str
    python_path: list[str] | None
    state_dir: str
    lock_dir: str
    error_dir: str
    oops_prefix: str
    oops_publishers: list[str]
    oops_level: str | None
    mail: str | None
    mail_from: str
    failure_recipients: list[str] | None
    activity_interval: float
    notify: bool
    instances: list[str] | None
    grace_seconds: float
    crash_limit: int
    security_cfg: str | None
    keep_completed: float | None
    keep_failed: float | None
    keep_cancelled: float | None
    keep_events: float | None
    keep_runs: float | None
    keep_oopses: float | None
    cron_control: str | None
    watch_scripts: dict[str, float | None] | None
    metrics_dir: str | None
    metrics_hook: str | None
    celery_broker_url: str | None
    sections: dict[str, Section]
    schedules: dict[str, Schedule]
    channels: dict[str, Channel]

    def section(self, name: str) -> Section:
        """Return a section of jobs.

        Raises:
            ConfigurationError: there is no section of this name.
        """
        try:
            return self.sections[name]
        except KeyError:
            from jobcron.settings.suggestions import suggestion

            known = ", ".join(sorted(self.sections)) or "none"
            raise ConfigurationError(
                f"{self.path}: expected a section [{name}], found none; the sections of jobs are: {known}"
                f"{suggestion(name, self.sections)}"
            ) from None

    def channels_of(self, names: Iterable[str]) -> dict[str, str | None]:
        """Return the channels of sections, by their names."""
        return {name: self.sections[name].channel for name in names}

    def recipients_of(self, section: str | None) -> list[str]:
        """Return who is told of failed jobs of a section whose class names nobody."""
        place = self.sections.get(section or "", self)
        return place.failure_recipients or []

    def source_names(self) -> list[str]:
        """Return the names by which the sections name their sources."""
        return [s.source_interface for s in self.sections.values() if s.source_interface is not None]

    def place(self, key: str) -> str:
        """Return where a key of the instance stands, for messages."""
        return f"{self.path}: section [{INSTANCE}], key {key}"

    def outage_file(self, name: str) -> str:
        """Return the file that exists while script or section `name` finds its database unavailable."""
        return os.path.join(self.state_dir, f"{name}.outage")

    def reminders_file(self, name: str) -> str:
        """Return the file that holds what the runs of section `name` have said in the last interval."""
        return os.path.join(self.state_dir, f"{name}.reminders")

    def report_directories(self) -> list[str]:
        """Return the directories of OOPS reports: the instance's, and those of sections that have one."""
        own = [section.error_dir for section in self.sections.values() if section.error_dir]
        return list(dict.fromkeys([self.error_dir, *own]))

    @property
    def instance(self) -> str:
        """The instance's name: the name of the configuration's directory."""
        return os.path.basename(os.path.dirname(self.path))

    def secrets(self) -> list[str]:
        """Return the texts that must not appear in any report, log or mail."""
        from urllib.parse import unquote, unquote_plus

        found = [*passwords_in(self.database_url), *passwords_in(self.mail or "")]
        found += passwords_in(self.celery_broker_url or "")
        found += [section.ping_url for section in self.sections.values() if section.ping_url is not None]
        spellings = [text for p in found for text in (p, unquote(p), unquote_plus(p))]
        return list(dict.fromkeys(spellings))
