"""Schedules in the run of a section: bring their rows up to date, and create the jobs that are due."""

from __future__ import annotations

import logging
from typing import NamedTuple

from sqlalchemy import Connection

from jobcron.database.database import Database, TransactionSource
from jobcron.schedules.creating import Scope, create_due
from jobcron.schedules.definitions import defined_by
from jobcron.schedules.storing import differences, read_rows_now, store
from jobcron.settings.settings import Settings


class Found(NamedTuple):
    """What a run has found of the schedules.

    Attributes:
        are_stored: whether the rows say what configuration and code define, and that somebody defines it still.
        are_active: whether any is due some time.
        left: the numbers of those that are not defined here, but may be on another host.
    """

    are_stored: bool
    are_active: bool
    left: frozenset[int]


def look_at_schedules(connection: Connection, settings: Settings) -> Found:
    """Compare the rows of schedules with their definitions, in one statement that reads.

    Raises:
        ConfigurationError: two schedules have the same name.
    """
    rows, now = read_rows_now(connection)
    found = differences(rows, now, defined_by(settings))
    are_active = found.are_any or any(row.look_at is not None for row in rows)
    return Found(not found.are_any, are_active, found.left)


def run_schedules(
    database: TransactionSource, settings: Settings, logger: logging.Logger, found: Found, type_name: str | None
) -> None:
    """Store schedules that are new or have changed, and create the jobs that are due.

    Args:
        database: a test's own transaction has no schedules.
        settings: the instance's, whose application is imported.
        logger: the run's.
        found: what `look_at_schedules` has found.
        type_name: of the section's jobs, or None.

    Raises:
        DatabaseUnavailable: the database went away.
    """
    if not isinstance(database, Database):
        return
    if not found.are_stored:
        with database.begin() as connection:
            store(connection, defined_by(settings), logger)
    if found.are_active:
        create_due(database, logger, Scope(type_name, settings.activity_interval, found.left))
