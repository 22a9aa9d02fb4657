"""``jobcron check-config``: all that can be checked without running a job, every problem at once."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from jobcron import registry
from jobcron.application import find_source, load_application
from jobcron.clock import database_now
from jobcron.database import Database, first_line
from jobcron.directory import private_directory
from jobcron.errors import ConfigurationError, DirectoryError, UserMistake
from jobcron.instance import load_settings
from jobcron.job import Job
from jobcron.jobrun import runner_class_of
from jobcron.schema_version import REVISION, check_schema
from jobcron.settings import Section, Settings

SMTP_SECONDS = 5
CLOCK_SLACK = timedelta(minutes=1)


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        text: in one line.
        status: 0 where it is well or only worth knowing, else the exit status that it leads to.
        is_warning: whether it is worth knowing.
    """

    text: str
    status: int = 0
    is_warning: bool = False

    def __str__(self) -> str:
        word = "error" if self.status else "warning" if self.is_warning else "ok"
        return f"{word:<8} {self.text}"


def check_config(config: str | None) -> int:
    """Print what was found, and return the exit status: 0, 2 for the configuration, 1 for what is around it.

    Args:
        config: as of ``--config``.

    Raises:
        ConfigurationError: the configuration cannot be read, so that nothing else can be checked.
    """
    settings = load_settings(config)
    findings = [Finding(f"configuration {settings.path}")]
    print(findings[0])
    for check in (_application, _sections, _directories, _mail, _databases):
        for finding in _guarded(check, settings):
            print(finding)
            findings.append(finding)
    # What is written is mended first: where both are wrong it is the configuration.
    return max(finding.status for finding in findings)


def _guarded(check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except UserMistake as error:
        yield _error(error)
    except DBAPIError as error:
        yield Finding(f"database: {first_line(error.orig)}", 1)


def _error(error: UserMistake) -> Finding:
    return Finding(str(error), error.exit_status)


def _application(settings: Settings) -> Iterator[Finding]:
    load_application(settings)
    if settings.application is None:
        yield Finding("application: none is named; sections have to name what can be imported", is_warning=True)
    else:
        yield Finding(f"application {settings.application}: {len(registry.registered())} job types")


def _sections(settings: Settings) -> Iterator[Finding]:
    if not settings.sections:
        yield Finding(f"{settings.path}: no section of jobs: nothing will be run", is_warning=True)
    for section in settings.sections.values():
        yield from _guarded(lambda s, section=section: _section(s, section), settings)  # type: ignore[misc]


def _section(settings: Settings, section: Section) -> Iterator[Finding]:
    source = find_source(settings, section)
    runner = runner_class_of(settings, section)
    if isinstance(source, type) and not callable(getattr(source, "run", None)):
        raise ConfigurationError(
            f"{settings.path}: section [{section.name}], key source_interface: expected the jobs of "
            f"{registry.dotted_name(source)} to have a method run, they have none"
        )
    yield Finding(
        f"section {section.name}: {registry.dotted_name(source)}, run by {runner.__name__}, at {section.schedule}"
    )


def _directories(settings: Settings) -> Iterator[Finding]:
    wanted = {settings.state_dir: "state_dir", settings.lock_dir: "lock_dir", settings.error_dir: "error_dir"}
    for section in settings.sections.values():
        if section.error_dir:
            wanted.setdefault(section.error_dir, "error_dir")
    if settings.mail and settings.mail.startswith("file:"):
        wanted.setdefault(settings.mail.removeprefix("file:"), "mail")
    for path, key in wanted.items():
        yield from _guarded(lambda s, path=path, key=key: _directory(s, path, key), settings)  # type: ignore[misc]


def _directory(settings: Settings, path: str, key: str) -> Iterator[Finding]:
    if os.path.isdir(path):
        private_directory(path, settings.place(key))
        yield Finding(f"{key} {path}")
        return
    parent = path
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent) or not os.access(parent, os.W_OK | os.X_OK):
        raise DirectoryError(
            f"{settings.place(key)}: expected {path} to be a directory that can be made, "
            f"{parent} cannot be written"
        )
    yield Finding(f"{key} {path}, which will be made")


def _mail(settings: Settings) -> Iterator[Finding]:
    if settings.mail is None:
        yield Finding("mail: none is sent", is_warning=True)
    elif settings.mail.startswith("smtp:"):
        url = urlsplit(settings.mail)
        address = (url.hostname or "", url.port or 25)
        try:
            socket.create_connection(address, SMTP_SECONDS).close()
        except OSError as error:
            reason = error.strerror or error
            yield Finding(f"mail: {address[0]} port {address[1]} does not answer: {reason}", is_warning=True)
        else:
            yield Finding(f"mail: {address[0]} port {address[1]}")


def _databases(settings: Settings) -> Iterator[Finding]:
    users: dict[str | None, str] = {None: settings.database_origin}
    for section in settings.sections.values():
        if section.dbuser:
            users.setdefault(section.dbuser, f"{settings.path}: section [{section.name}], key dbuser")
    for user, origin in users.items():
        yield from _guarded(lambda s, user=user, origin=origin: _database(s, user, origin), settings)  # type: ignore[misc]


def _database(settings: Settings, user: str | None, origin: str) -> Iterator[Finding]:
    database = Database(settings.database_url, user, origin=origin)
    path = database.engine.url.database or ""
    if database.dialect == "sqlite" and not os.path.exists(path):
        raise DirectoryError(f"{origin}: expected the database {path}, it is not there: run `jobcron upgrade`")
    try:
        with database.begin(writing=False) as connection:
            check_schema(connection, f"{database.describe()} ({origin})", logging.getLogger("jobcron"))
            yield Finding(f"database {database.describe()}: version {REVISION} of the tables")
            if user is None:
                yield from _clock(connection)
                yield from _unclaimed(connection)
    finally:
        database.close()


def _clock(connection: Connection) -> Iterator[Finding]:
    """Compare the clocks; SQLite's is this machine's, so there only the rows can tell."""
    now = connection.scalar(select(database_now()))
    newest = connection.scalar(select(func.max(Job.date_created)))
    if now is None:
        return
    ahead = timedelta(seconds=round((datetime.now(UTC) - now).total_seconds()))
    if abs(ahead) > CLOCK_SLACK:
        yield Finding(
            f"clock: this machine's differs from the database's by {ahead}; jobs go by the database's",
            is_warning=True,
        )
    if newest is not None and newest - now > CLOCK_SLACK:
        yield Finding(
            f"clock: a job was created at {newest:%Y-%m-%d %H:%M} UTC by the database's clock, now it says "
            f"{now:%Y-%m-%d %H:%M}: it was set back, and jobs wait until then",
            is_warning=True,
        )


def _unclaimed(connection: Connection) -> Iterator[Finding]:
    for name, pending in registry.unclaimed(connection):
        yield Finding(
            f"{pending} pending jobs of the type {name}, which no class of this application has", is_warning=True
        )
