"""The database checks of ``jobcron check-config``: tables, clocks, jobs without a class or a section."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, select, text

from jobcron.commands._output import Finding
from jobcron.commands.checks._crontab_lines import sections_without_line
from jobcron.commands.checks._types import families_without_table, types_without_section
from jobcron.database.clock import database_now
from jobcron.database.connecting.notifications import notifies
from jobcron.database.database import Database
from jobcron.database.roles import missing_rights, roles_of
from jobcron.database.version import VERSION_TABLE, check_schema
from jobcron.errors import DirectoryError
from jobcron.jobs import known_types
from jobcron.jobs.job import Job
from jobcron.queue.unserved import unserved_types
from jobcron.settings.database_url import closed_files
from jobcron.settings.settings import Settings

CLOCK_SLACK = timedelta(minutes=1)


def check_database(settings: Settings, user: str | None, origin: str, is_loaded: bool) -> Iterator[Finding]:
    """Check the tables of the database as one role; for the instance's own role, also the clocks and the jobs.

    Args:
        settings: the instance's settings.
        user: the role; None: the URL's user.
        origin: where the database and the role are named.
        is_loaded: whether the application was imported; if not, its job types are unknown.

    Raises:
        UserMistake: the database is missing or unavailable, or its schema is wrong.
    """
    database = Database(settings.database_url, user, origin=origin)
    path = database.engine.url.database or ""
    if database.dialect == "sqlite" and not os.path.exists(path):
        raise DirectoryError(f"{origin}: expected the database {path}, it is not there: run `jobcron upgrade`")
    if database.dialect == "sqlite" and (closed := closed_files(path)):
        raise DirectoryError(f"{origin}: expected the database {path} to be open to this user, {closed}")
    try:
        with database.begin(writing=False) as connection:
            check_schema(connection, f"{database.describe()} ({origin})", logging.getLogger("jobcron"))
            version = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
            yield Finding(f"database {database.describe()}: version {version} of the tables")
            if user is None:
                yield from _notifications(connection, settings)
                yield from _clock(connection)
                if is_loaded:
                    yield from families_without_table(connection)
                    yield from _unclaimed(connection)
                yield from _unserved(connection, settings, is_loaded)
                yield from sections_without_line(connection, settings)
    finally:
        database.close()


def check_role(settings: Settings, user: str, origin: str, is_loaded: bool) -> Iterator[Finding]:
    """Check the role of a section: its rights, and if it has them, the database as it.

    Args:
        settings: the instance's settings.
        user: the role.
        origin: the key that names it.
        is_loaded: see `check_database`.

    Raises:
        UserMistake: see `check_database`; or the files of roles are wrong.
    """
    database = Database(settings.database_url, origin=settings.database_origin)
    try:
        with database.begin(writing=False) as connection:
            lacking = list(missing_rights(connection, roles_of(settings), user))
    finally:
        database.close()
    for missing in lacking:
        yield Finding(f"{origin}: {missing.text}: {missing.remedy}", 1)
    if not lacking:
        yield from check_database(settings, user, origin, is_loaded)


def _notifications(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Report that the database does not do yet what the configuration says of notifications."""
    if connection.dialect.name != "postgresql" or notifies(connection) == settings.notify:
        return
    told = "true, but the database does not notify" if settings.notify else "false, but the database notifies"
    yield Finding(f"{settings.place('notify')}: {told}: run `jobcron upgrade`", is_warning=True)


def _clock(connection: Connection) -> Iterator[Finding]:
    """Compare the clocks; SQLite uses this machine's clock, so only its rows can show a difference."""
    now = connection.scalar(select(database_now()))
    newest = connection.scalar(select(Job.date_created).order_by(Job.id.desc()).limit(1))
    if now is None:
        return
    ahead = timedelta(seconds=round((datetime.now(UTC) - now).total_seconds()))
    if abs(ahead) > CLOCK_SLACK:
        yield Finding(
            f"clock: this machine's differs from the database's by {ahead}; jobs use the database's",
            is_warning=True,
        )
    if newest is not None and newest - now > CLOCK_SLACK:
        yield Finding(
            f"clock: the database's clock was set back: a job was created at {newest:%Y-%m-%d %H:%M} UTC, and it "
            f"is {now:%Y-%m-%d %H:%M} now; jobs wait until then",
            is_warning=True,
        )


def _unserved(connection: Connection, settings: Settings, is_loaded: bool) -> Iterator[Finding]:
    late = unserved_types(connection, settings)
    for found in late:
        yield Finding(str(found), is_warning=True)
    told = {found.name for found in late}
    if not is_loaded:
        return
    without = types_without_section(settings)
    if without.unknown is not None:
        yield Finding(f"types without a section: not looked for, because {without.unknown}")
    for name, job_class in without.types.items():
        if name not in told:
            text = f"no section runs jobs of the type {name}, which {job_class} has: they would wait"
            yield Finding(text, is_warning=True)


def _unclaimed(connection: Connection) -> Iterator[Finding]:
    for name, pending in known_types.unclaimed(connection):
        yield Finding(f"{pending} of the type {name}, which no class of this application has", is_warning=True)
