"""Does the database have the tables that this code needs?"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, inspect, text

from jobcron.errors import SchemaMismatch
from jobcron.reports.logs import NO_OOPS

REVISION = "0002"
"""The migration that this code was written for: the newest in ``schema/versions``."""

VERSION_TABLE = "jobcron_schema_version"


def check_schema(connection: Connection, where: str, logger: logging.Logger) -> None:
    """Check that the tables are there and of our version, and say so where the server cannot keep promises.

    Args:
        connection: in a transaction.
        where: the database, for messages.
        logger: told where the database is set to lose commits.

    Raises:
        SchemaMismatch: they are not.
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
    """Check that code as old as this may work with tables that are newer: their migration says how far back."""
    oldest = connection.scalar(text(f"SELECT oldest_code FROM {VERSION_TABLE}"))
    if oldest is None or oldest > REVISION:
        raise SchemaMismatch(
            f"expected jobcron's tables in the database {where} to be of version {REVISION}, or of a newer one "
            f"that serves code of {REVISION}; found {found}, which serves code of {oldest or found} or newer: "
            "update this code"
        )
