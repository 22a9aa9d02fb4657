"""``jobcron upgrade``: create jobcron's tables, or bring them up to date."""

from __future__ import annotations

import argparse
import os
import time

from sqlalchemy.exc import DBAPIError

from jobcron.commands._database import imported
from jobcron.commands._output import say
from jobcron.database.database import Database
from jobcron.database.trouble import refused_right
from jobcron.database.upgrade import upgrade_in_use
from jobcron.database.version import REVISION
from jobcron.errors import ConfigurationError
from jobcron.jobs import known_types
from jobcron.scripts.code_stamp import note_types
from jobcron.settings.directories import private_directory
from jobcron.settings.instance import load_settings, presented


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Do nothing: the subcommand has no arguments."""


def perform(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit status."""
    return upgrade(options.config)


def upgrade(config: str | None) -> int:
    """Upgrade the instance's database and print what was done; return the exit status.

    Args:
        config: the value of ``--config``.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """
    started = time.monotonic()
    settings = load_settings(config)
    application_is_there = settings.application is not None
    if application_is_there:
        with presented(settings):
            imported(settings)
    database = Database(settings.database_url, origin=settings.database_origin)
    if database.dialect == "sqlite":
        _make_folder(database.engine.url.database or "", settings.database_origin)
    try:
        before = upgrade_in_use(database, say, notify=settings.notify)
        with database.begin() as connection:
            sources = known_types.registered_sources(settings.source_names())
            shared = known_types.sync(connection, sources)
    except DBAPIError as error:
        refused = refused_right(error)
        if refused is None:
            raise
        raise ConfigurationError(
            f"{settings.database_origin}: expected a role that may create jobcron's tables, and owns those that "
            f"are there, in the database {database.describe()}, got: {refused}. Since PostgreSQL 15 only the "
            "owner of a database may create tables in it, and can allow it: GRANT CREATE ON SCHEMA public TO role"
        ) from error
    finally:
        database.close()
    note_types(settings, known_types.types_by_source(sources), started)
    for text in shared:
        say(f"{text}.")
    done = "is up to date" if before == REVISION else f"was upgraded from {before or 'nothing'}"
    say(f"{database.describe()}: the schema {done} (version {REVISION})")
    return 0


def _make_folder(path: str, origin: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):  # an existing one may be shared, if its owner likes
        private_directory(folder, f"{origin}: the folder of the database")
