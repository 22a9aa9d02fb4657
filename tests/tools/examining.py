"""Examine an instance, for the tests of the doctor."""

from __future__ import annotations

from typing import NamedTuple

from instances import Instance
from jobcron import Database, load_settings
from jobcron.operations.doctor import Finding, examine


class Usage(NamedTuple):
    """The room on a disk."""

    total: int
    used: int
    free: int


def found(instance: Instance) -> list[Finding]:
    """Examine an instance over a fresh connection."""
    database = Database(instance.url)
    try:
        with database.begin(writing=False) as connection:
            return examine(connection, load_settings(str(instance.path)))
    finally:
        database.close()


def only(instance: Instance) -> Finding:
    """Return the only finding."""
    (finding,) = found(instance)
    return finding
