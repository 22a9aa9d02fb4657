"""Open the instance's database for a subcommand."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Connection

from jobcron.database.database import Database
from jobcron.database.statements import expect_few_rows
from jobcron.database.version import check_file, check_schema
from jobcron.errors import ConfigurationError, UserMistake
from jobcron.reports.logs import complain
from jobcron.runner.application import Application, load_application
from jobcron.settings.instance import load_settings, presented
from jobcron.settings.named import in_words
from jobcron.settings.settings import Settings


def imported(settings: Settings) -> Application:
    """Import the application for a command: of whatever it raises, the message and the line are told.

    A run makes a report of an error that nobody foresaw; at a terminal that would be a traceback.

    Raises:
        UserMistake: it cannot be imported.
    """
    try:
        return load_application(settings)
    except UserMistake:
        raise
    except Exception as error:
        place = getattr(error, "__notes__", [f"{settings.path}: section [jobcron], key application"])[0]
        raise ConfigurationError(f"{place}: {in_words(error)}") from error


@contextmanager
def opened_database(config: str | None, *, needs_application: bool = True) -> Iterator[tuple[Settings, Database]]:
    """Import the application, open the database, and check that its tables fit this version.

    Args:
        config: the value of ``--config``.
        needs_application: False: if the application cannot be imported, say so and go on without it. Jobs can be
            looked at and moved also when a broken release is why somebody does.

    Raises:
        UserMistake: the configuration, the database or its schema is wrong.
    """
    settings = load_settings(config)
    with presented(settings):  # also for hooks that read them
        try:
            imported(settings)
        except UserMistake as mistake:
            if needs_application:
                raise
            complain(f"jobcron: warning: going on without the application: {mistake}")
        with closing(Database(settings.database_url, origin=settings.database_origin)) as database:
            check_file(settings.database_url, database.where)  # before it is created, empty
            with database.begin(writing=False) as connection:
                check_schema(connection, database.where, logging.getLogger("jobcron"))
            yield settings, database


@contextmanager
def opened_for_reading(config: str | None) -> Iterator[tuple[Settings, Connection]]:
    """Open the database as `opened_database` does, for one transaction that only reads.

    The application is not needed.

    Raises:
        UserMistake: the configuration, the database or its schema is wrong.
    """
    with (
        opened_database(config, needs_application=False) as (settings, database),
        database.begin(writing=False) as connection,
    ):
        expect_few_rows(connection)  # of what reads a few rows of millions
        yield settings, connection
