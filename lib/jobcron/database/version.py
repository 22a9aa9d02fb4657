"""Check that the database has the tables that this code needs."""

from __future__ import annotations

import logging
import os

from sqlalchemy import Connection, inspect, text

from jobcron.errors import SchemaMismatch
from jobcron.reports.logs import NO_OOPS
from jobcron.settings.database_url import sqlite_path

REVISION = "0022"
"""The migration that this code needs: the newest in ``schema/versions``."""

VERSION_TABLE = "jobcron_schema_version"


def newer_version(connection: Connection) -> str | None:
    """Return the version of the tables if it is newer than this code's."""
    found = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return str(found) if str(found) > REVISION else None


def check_file(url: str, where: str) -> None:
    """Check that SQLite's file exists: it would be created, empty, in the place of one that was moved away.

    Args:
        url: the database's URL.
        where: the database, for messages.

    Raises:
        SchemaMismatch: there is no such file in its folder.
    """
    path = sqlite_path(url)
    if path and os.path.isdir(os.path.dirname(path)) and not os.path.exists(path):
        raise _no_tables(where)


def check_schema(connection: Connection, where: str, logger: logging.Logger) -> None:
    """Check that the tables exist in our version; log a warning if the server may lose commits.

    Args:
        connection: in a transaction.
        where: the database, for messages.
        logger: logs the warning.

    Raises:
        SchemaMismatch: the tables are missing, too old or too new.
    """
    if not inspect(connection).has_table(VERSION_TABLE):
        raise _no_tables(where)
    found = str(connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")))
    if found < REVISION:
        raise SchemaMismatch(
            f"expected jobcron's tables in the database {where} to be of version {REVISION} or newer, "
            f"found {found}: run `jobcron upgrade`"
        )
    if found > REVISION:
        _check_newer(connection, where, found)
    if connection.dialect.name == "postgresql":
        _warn_of_lost_commits(connection, where, logger)


def _warn_of_lost_commits(connection: Connection, where: str, logger: logging.Logger) -> None:
    """Log a warning if the server may lose what it has committed; settings of the role and the database count."""
    settings = text("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
    fsync, synchronous_commit = connection.execute(settings).one()
    crashed = "its machine" if fsync == "off" else "its server"
    for name, value in (("fsync", fsync), ("synchronous_commit", synchronous_commit)):
        if value == "off":
            message = "The database %s runs with %s=off: a crash of %s may lose committed jobs"
            logger.warning(message, where, name, crashed, extra=NO_OOPS)
            return


def _no_tables(where: str) -> SchemaMismatch:
    return SchemaMismatch(f"expected jobcron's tables in the database {where}, found none: run `jobcron upgrade`")


def _check_newer(connection: Connection, where: str, found: str) -> None:
    """Check that newer tables still support this code: their migration says how old code may be."""
    # why: decisions 2026-11-23, a version of the tables
    oldest = connection.scalar(text(f"SELECT oldest_code FROM {VERSION_TABLE}"))
    if oldest is None or oldest > REVISION:
        error = SchemaMismatch(
            f"expected jobcron's tables in the database {where} to be of version {REVISION}, or of a newer one "
            f"that serves code of {REVISION}; found {found}, which serves code of {oldest or found} or newer: "
            "update this code"
        )
        error.remedy = "install the release of jobcron that the other hosts have"
        raise error


def include_object(thing: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    """Keep Alembic's autogenerate from dropping jobcron's tables, which the application's metadata lacks.

    Pass it as ``context.configure(include_object=jobcron.include_object)`` in the application's ``env.py``.
    Indexes and constraints are treated like their tables.
    """
    table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", None)
    return not str(table or "").startswith("jobcron_")
