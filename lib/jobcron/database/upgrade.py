"""Upgrade the tables to this version: run the migrations under a lock."""

from __future__ import annotations

import os
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from jobcron.database.version import REVISION, VERSION_TABLE
from jobcron.errors import SchemaMismatch
from jobcron.settings.settings import PACKAGE

# Concurrent upgrades wait for each other; the lock's number is ours alone, and is released with the
# transaction.
UPGRADE_LOCK = 0x6A6F6263


def upgrade_schema(connection: Connection, where: str) -> str | None:
    """Upgrade jobcron's tables, and return the version that they had before; None if there were none.

    Args:
        connection: in a transaction: the upgrade is applied as a whole or not at all.
        where: the database, for messages.

    Raises:
        SchemaMismatch: the tables have a version that this code does not know.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})
    before = None
    if inspect(connection).has_table(VERSION_TABLE):
        before = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    if before is not None and before > REVISION:
        raise SchemaMismatch(
            f"expected jobcron's tables in {where} to be of version {REVISION} or older, found {before}: "
            "this code is older than the tables"
        )
    settings: dict[str, Any] = {"script_location": os.path.join(PACKAGE, "database", "schema")}
    config = Config()
    for key, value in settings.items():
        config.set_main_option(key, value.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before
