"""What others see of a row while this transaction has it locked: what was committed last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from sqlalchemy import Connection, Engine, Executable, NullPool, QueuePool, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jobcron.database.connecting.sharing import Shared
from jobcron.database.statements import be_brief
from jobcron.database.transactions import READING

LOCK_SECONDS = 0.25
"""How long to wait for a lock of the table: it may be this transaction's own, which has altered the table."""

_TRANSLATED = "schema_translate_map"


def is_alone(bind: Engine | Connection, own: Connection) -> bool:
    """Return whether nobody else can change rows: in a test's own transaction, and in a database in memory.

    Where jobs share a transaction, those before may have.

    Args:
        bind: what the session works with.
        own: the transaction's connection.
    """
    if isinstance(bind, Engine):
        return bind.dialect.name == "sqlite" and not _has_connections(bind)
    driver = own.connection.driver_connection
    return not (isinstance(driver, Shared) and driver.is_shared)


def committed_row(
    bind: Engine | Connection, own: Connection, reading: Executable, identity: Mapping[str, object]
) -> Sequence[object] | None:
    """Read a row over another connection.

    Args:
        bind: what the session works with.
        own: the transaction's connection.
        reading: the statement, which takes no lock.
        identity: its parameters.

    Returns:
        The row; None if others see none, or cannot be asked, since the table is not theirs to read, for example.
    """
    if not isinstance(bind, Engine) or not _has_connections(bind):
        return None
    translated = own.get_execution_options().get(_TRANSLATED)
    options = READING if translated is None else {**READING, _TRANSLATED: translated}
    with suppress(DBAPIError, PoolTimeout), bind.execution_options(**options).connect() as other:
        if other.dialect.name == "postgresql":
            be_brief(other, LOCK_SECONDS)
            path = own.execute(select(func.current_setting("search_path"))).scalar()
            other.execute(select(func.set_config("search_path", path, True)))  # the names of tables are the job's
        return other.execute(reading, identity).first()
    return None


def _has_connections(engine: Engine) -> bool:
    """Return whether another connection is one: other pools may give the same, and end its transaction later."""
    return isinstance(engine.pool, (QueuePool, NullPool))
