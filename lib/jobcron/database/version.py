"""Check that the database has the tables that this code needs."""

from __future__ import annotations

import logging

from sqlalchemy import Connection, inspect, text

from jobcron.errors import SchemaMismatch
from jobcron.reports.logs import NO_OOPS

REVISION = "0002"
"""The migration that this code needs: the newest in ``schema/versions``."""

VERSION_TABLE = "jobcron_schema_version"


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
        raise SchemaMismatch(
            f"expected jobcron's tables in the database {where}, found none: run `jobcron upgrade`"
        )
    found = str(connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")))
    if found < REVISION:
        raise SchemaMismatch(
            f"expected jobcron's tables in the database {where} to be of version {REVISION} or newer, "
            f"found {found}: run `jobcron upgrade`"
        )
    if found > REVISION:
        _check_newer(connection, where, found)
    if connection.dialect.name == "postgresql":
        fsync = connection.scalar(text("SELECT current_setting('fsync')"))
        if fsync == "off":
            logger.warning(
                "The database %s runs with fsync=off: a crash of its machine may lose committed jobs",
                where,
                extra=NO_OOPS,
            )


def _check_newer(connection: Connection, where: str, found: str) -> None:
    """Check that newer tables still support this code: their migration says how old code may be."""
    # why: decisions 2026-11-23, a version of the tables
    oldest = connection.scalar(text(f"SELECT oldest_code FROM {VERSION_TABLE}"))
    if oldest is None or oldest > REVISION:
        raise SchemaMismatch(
            f"expected jobcron's tables in the database {where} to be of version {REVISION}, or of a newer one "
            f"that serves code of {REVISION}; found {found}, which serves code of {oldest or found} or newer: "
            "update this code"
        )
