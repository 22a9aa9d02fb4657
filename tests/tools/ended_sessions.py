"""End the sessions of a PostgreSQL server that others have open, as idle timeouts of servers and poolers do."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg2

from instances import wait_until
from jobcron.settings.database_url import libpq_url

OTHERS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)


def end_sessions(url: str) -> int:
    """End all other sessions of a database, and return their number once they are gone."""
    with closing(psycopg2.connect(libpq_url(url))) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT pid, pg_terminate_backend(pid) FROM ({OTHERS}) AS others")
        processes = [pid for pid, _ in cursor.fetchall()]
    wait_for_ends(processes)
    return len(processes)


def wait_for_ends(processes: list[int]) -> None:
    """Wait until processes of the server are gone, and so their sockets are closed."""
    wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in processes), "sessions to end")
