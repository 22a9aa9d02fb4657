"""Upgrade the tables to this version, while an application uses them: run the migrations under a lock.

On PostgreSQL each migration is a transaction of its own, which waits for a lock on a table only for a moment:
while it waits, it holds up everybody who comes after it. So it gives up, and tries again as long as somebody reads
the table. Indexes are built concurrently, after the migrations. Each step can be repeated.
"""

# why: decisions 2026-11-29, an upgrade holds nobody up

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from jobcron.database.connecting.notifications import notifies_as, set_notifies
from jobcron.database.database import Database
from jobcron.database.trouble import Interruption, interruption_of
from jobcron.database.version import REVISION, VERSION_TABLE
from jobcron.errors import DatabaseUnavailable, SchemaMismatch
from jobcron.settings.settings import PACKAGE

# Concurrent upgrades wait for each other; the lock's number is ours alone, and is released with the
# transaction.
UPGRADE_LOCK = 0x6A6F6263

LOCK_SECONDS = 0.5
"""How long a migration waits for a lock on a table, and everybody behind it."""

LONG_LOCK_SECONDS = 1.5
"""How long every third try waits: only after its deadlock_timeout of 1 s the server ends an autovacuum."""

PAUSE_SECONDS = 2.0
"""How long the tables are left alone before the next try."""

PATIENCE_SECONDS = 600.0
"""How long a migration is tried."""

TELL_SECONDS = 30.0
"""How often it is said whom an upgrade waits for."""

LONG_TRIES = 3
"""Each so manieth try waits longer."""

_IN_THE_WAY = (Interruption.LOCK_TIMEOUT, Interruption.DEADLOCK)

_HOLDERS = """
SELECT DISTINCT a.pid, a.usename, a.application_name, a.state, extract(epoch FROM clock_timestamp() - a.xact_start)
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation AND c.relname LIKE 'jobcron\\_%'
JOIN pg_stat_activity AS a ON a.pid = l.pid AND a.datname = current_database()
WHERE l.granted AND l.pid <> pg_backend_pid()
ORDER BY 5 DESC LIMIT 3
"""


class Patience(NamedTuple):
    """How long an upgrade waits, in seconds; see the constants."""

    lock: float = LOCK_SECONDS
    pause: float = PAUSE_SECONDS
    in_all: float = PATIENCE_SECONDS
    long_lock: float = LONG_LOCK_SECONDS

    def of_try(self, number: int) -> float:
        """Return how long a try waits for a lock."""
        return self.lock if number % LONG_TRIES else self.long_lock


PATIENT = Patience()


def upgrade_schema(connection: Connection, where: str) -> str | None:
    """Upgrade jobcron's tables in one transaction, and return the version that they had before; None: none.

    Args:
        connection: in a transaction: the upgrade is applied as a whole or not at all.
        where: the database, for messages.

    Raises:
        SchemaMismatch: the tables have a version that this code does not know.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})
    before = _version(connection, where)
    _migrate(connection, "head")
    for statement in (*_missing_indexes(connection), *(_without_code_of_before() if before is None else ())):
        connection.execute(text(statement))
    return before


def upgrade_in_use(
    database: Database, tell: Callable[[str], None], patience: Patience = PATIENT, *, notify: bool = False
) -> str | None:
    """Upgrade the tables of an application that is running; return as `upgrade_schema` does.

    Args:
        database: the database.
        tell: says whom the upgrade waits for.
        patience: how long it waits.
        notify: whether the database notifies workers of new jobs.

    Raises:
        SchemaMismatch: as of `upgrade_schema`.
        DatabaseUnavailable: somebody used the tables all the time. What was done stays; the next upgrade goes on.
    """
    with database.begin() as connection:
        if database.dialect != "postgresql" or _version(connection, database.describe()) is None:
            before = upgrade_schema(connection, database.describe())
            if database.dialect == "postgresql" and not notifies_as(connection, is_on=notify):
                set_notifies(connection, is_on=notify)
                tell(_notifying(database, notify))
            return before
    with _alone(database):
        with database.begin(writing=False) as connection:
            before = _version(connection, database.describe())
        for revision in _revisions_after(str(before)):
            step = partial(_migrate, revision=revision)
            _insist(database, f"upgraded to version {revision}", step, tell, patience)
        with database.begin(writing=False) as connection:
            is_other = not notifies_as(connection, is_on=notify)
        if is_other:
            _insist(database, "given triggers", partial(set_notifies, is_on=notify), tell, patience)
            tell(_notifying(database, notify))
        with database.engine.connect() as connection:
            apart = connection.execution_options(isolation_level="AUTOCOMMIT")
            for statement in _missing_indexes(apart, concurrently=True):
                tell(f"{database.describe()}: {statement}")
                apart.execute(text(statement))
    return before


def _notifying(database: Database, is_on: bool) -> str:
    """Return what an upgrade says when it has put the key ``notify`` into effect."""
    what = "now notifies workers of new jobs" if is_on else "no longer notifies workers of new jobs"
    return f"{database.describe()}: the database {what}, as the key notify says"


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Hold the lock of upgrades in a transaction that does nothing else; behind a pooler no session is ours."""
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})
        yield


def _insist(
    database: Database,
    what: str,
    step: Callable[[Connection], None],
    tell: Callable[[str], None],
    patience: Patience,
) -> None:
    """Change the tables by one step, as often as it takes until nobody is in its way."""
    began = time.monotonic()
    told: float | None = None
    for number in count(1):
        try:
            with database.begin() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = {patience.of_try(number) * 1000:.0f}"))
                step(connection)
                return
        except DatabaseUnavailable as error:
            now = time.monotonic()
            if interruption_of(error) not in _IN_THE_WAY:
                raise
            holders = _holders(database)
            if now - began >= patience.in_all:
                raise DatabaseUnavailable(
                    f"{database.where}: the tables could not be {what} within "
                    f"{patience.in_all:g} seconds, because they are in use by {holders}: upgrade again"
                ) from error
            if told is None or now - told >= TELL_SECONDS:
                told = now
                tell(f"{database.describe()}: waits until the tables are free of {holders}, to be {what}")
        time.sleep(patience.pause)


def _holders(database: Database) -> str:
    with database.begin(writing=False) as connection:
        rows = connection.execute(text(_HOLDERS)).all()
    found = [
        f"process {pid} of {user} ({application or 'no name'}, {state}, for {float(seconds or 0):.0f} s)"
        for pid, user, application, state, seconds in rows
    ]
    return ", ".join(found) or "a transaction that has just ended"


def _version(connection: Connection, where: str) -> str | None:
    """Return the version of the tables; None if there are none.

    Raises:
        SchemaMismatch: this code does not know it.
    """
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    if found is not None and found > REVISION:
        raise SchemaMismatch(
            f"expected jobcron's tables in {where} to be of version {REVISION} or older, found {found}: "
            "this code is older than the tables"
        )
    return found


def _config() -> Config:
    config = Config()
    folder = os.path.join(PACKAGE, "database", "schema")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    return config


def _migrate(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _revisions_after(version: str) -> list[str]:
    script = ScriptDirectory.from_config(_config())
    return [step.revision for step in script.iterate_revisions("head", version)][::-1]


def _missing_indexes(connection: Connection, *, concurrently: bool = False) -> Iterator[str]:
    """Yield the statements that make the indexes that migrations leave to be built later."""
    word = " CONCURRENTLY" if concurrently else ""
    for step in reversed(list(ScriptDirectory.from_config(_config()).walk_revisions())):
        # any object: a migration, which may have this name
        late: dict[str, dict[str, str]] = getattr(step.module, "LATE_INDEXES", {})
        for name, definitions in late.items():
            if connection.dialect.name not in definitions:
                continue
            if connection.dialect.name == "postgresql":
                is_valid = connection.scalar(
                    text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": name}
                )
                if is_valid:
                    continue
                if is_valid is not None:  # a build that was broken off
                    yield f"DROP INDEX{word} IF EXISTS {name}"
            yield definitions[connection.dialect.name].format(how=f"{word} IF NOT EXISTS".strip())


def _without_code_of_before() -> Iterator[str]:
    """Yield the statements that drop from new tables the indexes that only older code needs, and shut it out."""
    for step in ScriptDirectory.from_config(_config()).walk_revisions():
        # any object: a migration, which may have these names
        overtaken: tuple[str, ...] = getattr(step.module, "OVERTAKEN_INDEXES", ())
        for name in overtaken:
            yield f"DROP INDEX IF EXISTS {name}"
        oldest: str | None = getattr(step.module, "OLDEST_CODE_OF_NEW_TABLES", None)
        if oldest is not None:
            yield f"UPDATE {VERSION_TABLE} SET oldest_code = '{oldest}' WHERE oldest_code < '{oldest}'"
