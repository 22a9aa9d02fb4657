"""The settings of an instance, as frozen values, and their copy that is cheap to read.

Reading a configuration with all its checks (`config`) costs more than a whole tick with nothing to do, so what
it yields is kept in the state directory, beside the very texts that it was read from: it is used only while
every one of these files still says the same, word for word, and only if nobody else can have written it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from typing import Any, NamedTuple

from jobcron import __version__
from jobcron.errors import ConfigurationError

COMPILED_NAME = "compiled-settings.json"

PACKAGE = os.path.dirname(os.path.abspath(__file__))
CONFIGS = os.path.join(PACKAGE, "configs")
SCHEMA = os.path.join(CONFIGS, "schema.conf")

SECTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""What the name of a section, a lock or a prefix may look like, before it meets a path."""

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
"""As logging has them, whose import would be a good part of a tick."""

_STATE_DIR = re.compile(r"^state_dir\s*[:=]\s*(.*?)\s*$", re.MULTILINE)
_PASSWORDS = (
    r"^[^/]*://[^:/@\[]*:([^@]*)@",  # as SQLAlchemy reads it
    r"^[^/]*://[^:/@\[]*:(.*)@",  # with an @ in it that should have been %40
    r"^[^/]*://[^:/@\[]*:(?!\d*(?:[/?]|$))([^@]*)$",  # without a host: what is no port
    r"[?&](?:ssl)?password=([^&#]*)",
)

_EXTENDS = re.compile(r"^extends\s*[:=]\s*(.*?)\s*$", re.MULTILINE)


class Section(NamedTuple):
    """A section of jobs. See ``configs/schema.conf`` for what the values mean."""

    name: str
    source_interface: str | None
    dbuser: str | None
    runner_class: str
    max_workers: int
    batch_size: int
    schedule: str
    crontab_group: str | None
    max_runtime: float | None
    oops_prefix: str | None
    error_dir: str | None
    keep_completed: float | None
    keep_failed: float | None
    keep_cancelled: float | None
    keep_functions: dict[str, float | None] | None
    alert_silence: list[float] | str | None
    alert_waiting: list[float] | None
    alert_failures: list[int] | None
    functions: list[str] | None
    tasks: list[str] | None
    creation_hook: str | None
    failure_hook: str | None
    pre_task_hook: str | None
    post_task_hook: str | None
    queue: str | None


class Settings(NamedTuple):
    """An instance. See ``configs/schema.conf`` for what the values mean.

    Attributes:
        path: the configuration file.
        database_origin: where ``database_url`` was read, for messages.
        sections: the sections of jobs, by name.
    """

    path: str
    database_url: str
    database_origin: str
    application: str | None
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
    activity_interval: float
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
    metrics_dir: str | None
    metrics_hook: str | None
    sections: dict[str, Section]

    def section(self, name: str) -> Section:
        """Return a section of jobs.

        Raises:
            ConfigurationError: there is none of this name.
        """
        try:
            return self.sections[name]
        except KeyError:
            known = ", ".join(sorted(self.sections)) or "none"
            raise ConfigurationError(
                f"{self.path}: expected a section [{name}], found none; the sections of jobs are: {known}"
            ) from None

    def source_names(self) -> list[str]:
        """Return the names by which the sections ask for their sources."""
        return [s.source_interface for s in self.sections.values() if s.source_interface is not None]

    def place(self, key: str) -> str:
        """Return where a key of the instance stands, for messages."""
        return f"{self.path}: section [jobcron], key {key}"

    def outage_file(self, name: str) -> str:
        """Return the file that is there while the script or section `name` finds its database away."""
        return os.path.join(self.state_dir, f"{name}.outage")

    def report_directories(self) -> list[str]:
        """Return the directories of OOPS reports: the instance's, and those that sections have of their own."""
        own = [section.error_dir for section in self.sections.values() if section.error_dir]
        return list(dict.fromkeys([self.error_dir, *own]))

    @property
    def instance(self) -> str:
        """The instance's name: that of the configuration's directory."""
        return os.path.basename(os.path.dirname(self.path))

    def secrets(self) -> list[str]:
        """Return the texts that no report, log or mail may show."""
        from urllib.parse import unquote, unquote_plus

        urls = (self.database_url, self.mail or "")
        found = [password for url in urls for form in _PASSWORDS for password in re.findall(form, url)]
        spellings = [text for p in found if p for text in (p, unquote(p), unquote_plus(p))]
        return list(dict.fromkeys(spellings))


def _read_text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _state_dir_of(path: str) -> str | None:
    """Return the state directory as the text names it; the checks are done where it is read in earnest."""
    for _ in range(10):
        text = _read_text(path)
        here = os.path.dirname(path)
        found = _STATE_DIR.search(text)
        if found:
            return os.path.normpath(os.path.join(here, found[1]))
        base = _EXTENDS.search(text)
        if not base:
            return None
        path = os.path.join(here, base[1])
    return None


def read_compiled(path: str) -> Settings | None:
    """Return the settings kept from an earlier run, or None where they are not to be trusted."""
    try:
        state_dir = _state_dir_of(path)
        content = _kept(state_dir) if state_dir is not None else None
        if content is None:
            return None
        if content["version"] != __version__ or path not in content["texts"]:
            return None
        if any(_read_text(p) != text for p, text in content["texts"].items()):
            return None
        if any(distrust(p) for p in content["texts"]):
            return None
        values = content["settings"]
        values["sections"] = {k: Section(**v) for k, v in values["sections"].items()}
        settings = Settings(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # whatever is wrong, reading in earnest finds it and says it
    return settings if settings.path == path and settings.state_dir == state_dir else None


def distrust(path: str) -> str | None:
    """Return why a file is not to be trusted as code is, and what to do; None where it is.

    It and its directory have to belong to root, to the user who runs this, or to the owner of this package, whose
    code runs already; and not everybody may write the file, or replace it or a directory on the way to it.

    Raises:
        OSError: it is not there.
    """
    trusted = {0, os.geteuid(), os.stat(PACKAGE).st_uid}
    named, real = os.path.abspath(path), os.path.realpath(path)
    for place in (real, os.path.dirname(real)):
        owner = os.stat(place).st_uid
        if owner not in trusted:
            return (
                "expected a file and a directory of root's or of the user's who runs this, "
                f"{place} belongs to the user {owner}: chown {os.geteuid()} {place}"
            )
    folders = {*_folders_of(named), *_folders_of(real)}
    for place in (real, *sorted(folders, key=len, reverse=True)):
        mode = os.stat(place).st_mode
        if mode & stat.S_IWOTH and not (place in folders and mode & stat.S_ISVTX):
            return (
                "expected a file and a directory that not everybody may write, "
                f"got one that everybody may write: chmod o-w {place}"
            )
    return None


def _folders_of(path: str) -> list[str]:
    found = [path]
    while (folder := os.path.dirname(found[-1])) != found[-1]:
        found.append(folder)
    return found[1:]


def _kept(state_dir: str) -> Any:
    """Return what is kept in a state directory, or None where somebody else may have written it.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    if not _is_ours(os.stat(state_dir), 0o022):
        return None
    # O_NONBLOCK: a pipe that nobody writes to is no wait without end.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(os.path.join(state_dir, COMPILED_NAME), flags), encoding="utf-8") as file:
        status = os.fstat(file.fileno())
        return json.load(file) if stat.S_ISREG(status.st_mode) and _is_ours(status, 0o077) else None


def _is_ours(status: os.stat_result, forbidden: int) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & forbidden


def check_alone(settings: Settings) -> None:
    """Check that no other instance keeps its state in the same directory: locks would be taken for each other's.

    One with the same database is the same instance, in another place: a new release of an application, say.

    Raises:
        ConfigurationError: another instance does.
    """
    try:
        kept = _kept(settings.state_dir)["settings"]
        other, url = kept["path"], kept["database_url"]
        is_there = other != settings.path and _state_dir_of(other) == settings.state_dir
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if is_there and url != settings.database_url:
        raise ConfigurationError(
            f"{settings.place('state_dir')}: expected a directory of this instance's own, "
            f"got {settings.state_dir}, which is also that of {other}, with another "
            f"database; if that one is not used any more, remove {os.path.join(settings.state_dir, COMPILED_NAME)}"
        )


def write_compiled(settings: Settings, texts: dict[str, str]) -> None:
    """Keep the settings for the next run; what cannot be written is simply not kept."""
    values: dict[str, Any] = settings._asdict()
    values["sections"] = {k: v._asdict() for k, v in settings.sections.items()}
    content = {"version": __version__, "texts": texts, "settings": values}
    path = os.path.join(settings.state_dir, COMPILED_NAME)
    temporary = f"{path}.{os.getpid()}"
    try:
        if not _is_ours(os.stat(settings.state_dir), 0o022):
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.rename(temporary, path)
    except (OSError, ValueError):
        return
