"""``jobcron upgrade``: create jobcron's tables, or bring them up to date."""

from __future__ import annotations

import os
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from jobcron import registry
from jobcron.application import load_application
from jobcron.database import Database
from jobcron.directory import private_directory
from jobcron.errors import SchemaMismatch
from jobcron.instance import load_settings
from jobcron.operate.output import say
from jobcron.schema_version import REVISION, VERSION_TABLE
from jobcron.settings import PACKAGE

# Two upgrades at once wait for each other; the number is ours alone, and goes with the transaction.
UPGRADE_LOCK = 0x6A6F6263


def upgrade(config: str | None) -> int:
    """Upgrade the instance's database and tell what was done; return the exit status.

    Args:
        config: as of ``--config``.

    Raises:
        UserMistake: the configuration or the database is not as it should be.
    """
    settings = load_settings(config)
    application_is_there = settings.application is not None
    if application_is_there:
        load_application(settings)
    database = Database(settings.database_url, origin=settings.database_origin)
    if database.dialect == "sqlite":
        _make_folder(database.engine.url.database or "", settings.database_origin)
    try:
        with database.begin() as connection:
            before = upgrade_schema(connection, database.describe())
            registry.sync(connection, registry.registered_sources(settings.source_names()))
    finally:
        database.close()
    done = "is up to date" if before == REVISION else f"was upgraded from {before or 'nothing'}"
    say(f"{database.describe()}: the schema {done} (version {REVISION})")
    return 0


def _make_folder(path: str, origin: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):  # one that is there may be shared, as its owner likes
        private_directory(folder, f"{origin}: the folder of the database")


def upgrade_schema(connection: Connection, where: str) -> str | None:
    """Bring jobcron's tables up to date, and return the version that was there before.

    Args:
        connection: in a transaction: all of the upgrade or nothing of it.
        where: the database, for messages.

    Raises:
        SchemaMismatch: the tables are of a version that this code does not know.
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
    settings: dict[str, Any] = {"script_location": os.path.join(PACKAGE, "schema")}
    config = Config()
    for key, value in settings.items():
        config.set_main_option(key, value.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before
