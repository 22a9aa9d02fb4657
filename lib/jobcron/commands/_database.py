"""The instance's database, opened for a subcommand."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

from jobcron.database.database import Database
from jobcron.database.version import check_schema
from jobcron.runner.application import load_application
from jobcron.settings.instance import load_settings, presented
from jobcron.settings.settings import Settings


@contextmanager
def opened_database(config: str | None) -> Iterator[tuple[Settings, Database]]:
    """Import the application, open the database, and check that its tables fit this version.

    Args:
        config: the value of ``--config``.

    Raises:
        UserMistake: the configuration, the database or its schema is wrong.
    """
    settings = load_settings(config)
    with presented(settings):  # also for hooks that read them
        load_application(settings)
        with closing(Database(settings.database_url, origin=settings.database_origin)) as database:
            with database.begin(writing=False) as connection:
                check_schema(connection, database.where, logging.getLogger("jobcron"))
            yield settings, database
