"""``jobcron upgrade``: create jobcron's tables, or bring them up to date."""

from __future__ import annotations

import argparse
import os

from jobcron.commands._output import say
from jobcron.database.database import Database
from jobcron.database.upgrade import upgrade_schema
from jobcron.database.version import REVISION
from jobcron.jobs import known_types
from jobcron.runner.application import load_application
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
    settings = load_settings(config)
    application_is_there = settings.application is not None
    if application_is_there:
        with presented(settings):
            load_application(settings)
    database = Database(settings.database_url, origin=settings.database_origin)
    if database.dialect == "sqlite":
        _make_folder(database.engine.url.database or "", settings.database_origin)
    try:
        with database.begin() as connection:
            before = upgrade_schema(connection, database.describe())
            known_types.sync(connection, known_types.registered_sources(settings.source_names()))
    finally:
        database.close()
    done = "is up to date" if before == REVISION else f"was upgraded from {before or 'nothing'}"
    say(f"{database.describe()}: the schema {done} (version {REVISION})")
    return 0


def _make_folder(path: str, origin: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):  # an existing one may be shared, if its owner likes
        private_directory(folder, f"{origin}: the folder of the database")
