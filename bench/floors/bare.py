"""A bare connection: psycopg2's or sqlite3's, told apart only where the databases are."""

from __future__ import annotations

import re
import sqlite3
from typing import Any, Protocol

_PARAMETER = re.compile(r"(?<!:):(\w+)")


class Bare(Protocol):
    """A connection that sends what it is told."""

    dialect: str

    def prepared(self, statement: str) -> str:
        """Return a statement whose parameters are written ``:name`` as the driver wants it."""

    def begin(self) -> None:
        """Begin a transaction that will write."""

    def execute(self, statement: str, parameters: Any) -> Any:
        """Send a statement, and return the driver's cursor."""

    def commit(self) -> None:
        """Commit."""


class BarePostgreSQL:
    """psycopg2.

    Args:
        url: SQLAlchemy's.
        in_transactions: BEGIN and COMMIT are sent, each a round trip; False: each statement commits itself.
    """

    dialect = "postgresql"

    def __init__(self, url: str, in_transactions: bool) -> None:
        import psycopg2

        self._connection = psycopg2.connect(url.replace("+psycopg2", ""))
        self._connection.autocommit = not in_transactions
        self._cursor = self._connection.cursor()
        self.commit = self._connection.commit if in_transactions else self.begin

    def prepared(self, statement: str) -> str:
        """See `Bare`."""
        return _PARAMETER.sub(r"%(\1)s", statement)

    def begin(self) -> None:
        """Do nothing: psycopg2 sends BEGIN before the first statement."""

    def execute(self, statement: str, parameters: Any) -> Any:
        """See `Bare`."""
        self._cursor.execute(statement, parameters)
        return self._cursor


class BareSQLite:
    """sqlite3, with the settings that jobcron's connections have.

    Args:
        url: SQLAlchemy's.
    """

    dialect = "sqlite"

    def __init__(self, url: str) -> None:
        self._cursor = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None).cursor()
        for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL"):
            self._cursor.execute(f"PRAGMA {pragma}")

    def prepared(self, statement: str) -> str:
        """See `Bare`."""
        return statement

    def begin(self) -> None:
        """See `Bare`."""
        self._cursor.execute("BEGIN IMMEDIATE")

    def execute(self, statement: str, parameters: Any) -> Any:
        """See `Bare`."""
        return self._cursor.execute(statement, parameters)

    def commit(self) -> None:
        """See `Bare`."""
        self._cursor.execute("COMMIT")


def connect(url: str, in_transactions: bool = True) -> Bare:
    """Connect to the database that SQLAlchemy's URL names.

    Args:
        url: the database's.
        in_transactions: see `BarePostgreSQL`.
    """
    return BareSQLite(url) if url.startswith("sqlite") else BarePostgreSQL(url, in_transactions)
