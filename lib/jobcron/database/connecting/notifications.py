"""Notifications of PostgreSQL: workers hear at once that a job was committed, instead of at their next look.

A trigger sends one for each statement that inserts jobs, and for each job that somebody makes wait again, or moves
to another time. It exists only where the configuration asks for it, since a server commits transactions that
notify one after the other. All that a transaction sends is one notification: it has the number of the transaction,
by which the workers agree which of them looks first.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection, text

from jobcron.database.connecting.patient import Patience, Patient

CHANNEL = "jobcron"

WORKER = "worker"
"""What is said when a worker has come, or leaves: see `worker_tells.postgresql.sql`."""

NAME = "jobcron_notify"
"""The name of the function; those of the triggers begin with it."""

_BODY = f"BEGIN PERFORM pg_catalog.pg_notify('{CHANNEL}', pg_catalog.txid_current()::text); RETURN NULL; END"

_REPLACE = f"CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $${_BODY}$$"

_CREATE = f"""
{_REPLACE};
CREATE TRIGGER {NAME}_created AFTER INSERT ON jobcron_job
    FOR EACH STATEMENT EXECUTE FUNCTION {NAME}();
CREATE TRIGGER {NAME}_again AFTER UPDATE OF status, scheduled_start ON jobcron_job
    FOR EACH ROW WHEN (NEW.status = 0 AND OLD.status <> 1) EXECUTE FUNCTION {NAME}()
"""

_DROP = f"""
DROP TRIGGER {NAME}_created ON jobcron_job;
DROP TRIGGER {NAME}_again ON jobcron_job;
DROP FUNCTION {NAME}()
"""


def notifies(database: Connection) -> bool:
    """Return whether the database notifies workers."""
    asked = "SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass('jobcron_job') AND tgname = :name"
    return database.scalar(text(asked), {"name": f"{NAME}_created"}) is not None


def notifies_as(database: Connection, *, is_on: bool) -> bool:
    """Return whether the database notifies workers as this release does, or not at all."""
    if not is_on or not notifies(database):
        return notifies(database) == is_on
    body = database.scalar(text("SELECT prosrc FROM pg_proc WHERE oid = to_regproc(:name)"), {"name": NAME})
    return bool(body == _BODY)


def set_notifies(database: Connection, *, is_on: bool) -> None:
    """Make the database notify workers, or not; for a moment, nobody else may write jobs."""
    if notifies(database) != is_on:
        database.exec_driver_sql(_CREATE if is_on else _DROP)
    elif is_on:
        database.exec_driver_sql(_REPLACE)


class Listener:
    """Hears notifications, over a connection of its own; not through a pooler that shares sessions.

    Args:
        url: the database's URL.
        patience: whether to wait on for the server, until it listens.

    Raises:
        Exception: one of the driver's errors, if the server cannot be reached.
    """

    def __init__(self, url: str, patience: Patience = lambda: True) -> None:
        self._connection = Patient(url, None, patience)
        self._connection.ask(f"LISTEN {CHANNEL}")

    def fileno(self) -> int:
        """Return the connection's descriptor, which a notification makes readable."""
        return self._connection.fileno()

    def drain(self) -> list[str]:
        """Take what has arrived, and return what was said.

        Raises:
            Exception: one of the driver's errors, if the connection was lost.
        """
        return self._connection.drain()

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):  # it may be lost already
            self._connection.close()
