"""A standby of a private PostgreSQL server, which follows it, and can be promoted."""

from __future__ import annotations

import contextlib

import psycopg2

from instances import wait_until
from jobcron.testing.server import SUPERUSER, PrivatePostgreSQL, ServerFailed


class Standby(PrivatePostgreSQL):
    """A hot standby of a running server, made by ``pg_basebackup -R``.

    Args:
        primary: the server that it follows.
    """

    def __init__(self, primary: PrivatePostgreSQL) -> None:
        self._primary = primary
        super().__init__(in_memory=True)

    def _make_data(self) -> None:
        primary = self._primary
        place = ("--host", str(primary.directory), "--port", str(primary.port), "--username", SUPERUSER)
        options = ("--write-recovery-conf", "--checkpoint", "fast", "--no-sync")
        copying = self._cluster.popen("pg_basebackup", "--pgdata", str(self._cluster.data), *place, *options)
        if copying.wait(60) != 0:
            raise ServerFailed(f"pg_basebackup failed: {self._cluster.log.read_text()}")

    def promote(self) -> None:
        """Make it a server of its own that takes writes, and wait until it does."""
        execute(self, "SELECT pg_promote()")


def execute(server: PrivatePostgreSQL, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
    """Execute statements, each in a transaction of its own; return the rows of the last one."""
    connection = psycopg2.connect(host=str(server.directory), port=server.port, user=SUPERUSER, dbname=database)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def follow_at_once(primary: PrivatePostgreSQL) -> None:
    """Let each COMMIT of a server wait until its standby has applied it."""
    execute(
        primary,
        "ALTER SYSTEM SET synchronous_standby_names = '*'",
        "ALTER SYSTEM SET synchronous_commit = 'remote_apply'",
        "SELECT pg_reload_conf()",
    )
    state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    wait_until(lambda: execute(primary, state) == [(1,)], "a standby that follows")
