"""Connections whose other end is gone or stands still."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import pytest
from sqlalchemy import Connection, text

from instances import Instance
from jobcron.database import statements
from jobcron.database.database import Database
from jobcron.errors import DatabaseUnavailable
from jobcron.testing.server import PrivatePostgreSQL

WITHIN_SECONDS = 60
"""When the other end of a dead connection is given up, as the documentation says."""

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def setting(connection: Connection, name: str) -> int:
    """Return a number among the server's settings of this connection, in its smallest unit."""
    value = connection.scalar(text("SELECT setting FROM pg_settings WHERE name = :name"), {"name": name})
    return int(value or 0)


@pytest.mark.feature("LP-23")
def test_either_end_of_a_connection_notices_within_a_minute_that_the_other_host_is_gone(
    jobcron_server: PrivatePostgreSQL,
) -> None:
    with closing(Database(jobcron_server.tcp_url())) as database, database.begin() as connection:
        servers = [setting(connection, f"tcp_keepalives_{name}") for name in ("idle", "interval", "count")]
        unanswered = setting(connection, "tcp_user_timeout")
        descriptor = connection.connection.driver_connection.fileno()  # type: ignore[union-attr]
        with socket.socket(fileno=descriptor) as ours:
            alive = ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            clients = [ours.getsockopt(socket.IPPROTO_TCP, name) for name in names]
            clients_unanswered = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            ours.detach()
    assert alive == 1
    for idle, interval, count in (servers, clients):
        assert 0 < idle + interval * count <= WITHIN_SECONDS
    for milliseconds in (unanswered, clients_unanswered):
        assert 0 < milliseconds <= WITHIN_SECONDS * 1000


def test_what_a_url_says_of_keepalives_is_kept(jobcron_server: PrivatePostgreSQL) -> None:
    url = f"{jobcron_server.tcp_url()}?keepalives_idle=7&connect_timeout=3"
    with closing(Database(url)) as database, database.begin() as connection:
        said = connection.connection.driver_connection.get_dsn_parameters()  # type: ignore[union-attr]
    assert (said["keepalives_idle"], said["connect_timeout"]) == ("7", "3")


@pytest.mark.feature("LP-23")
@on_postgresql
def test_a_keeper_that_is_stopped_in_the_middle_of_a_renewal_keeps_no_row_locked(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "IDLE_SECONDS", 0.2)
    job = instance.act(("write", "effect"))
    mine = text("SELECT id FROM jobcron_job WHERE id = :job FOR UPDATE").bindparams(job=job)

    def stop_while_renewing(companion: Database) -> None:
        with companion.begin() as renewing:
            renewing.execute(mine)
            time.sleep(0.5)  # as a process that got SIGSTOP here
            with instance.database.begin() as others:
                others.execute(text("SET LOCAL lock_timeout = '5s'"))
                others.execute(mine)
            renewing.execute(text("SELECT 1"))

    with closing(instance.database.companion()) as companion:
        with pytest.raises(DatabaseUnavailable, match="the connection to the database was lost"):
            stop_while_renewing(companion)
        with companion.begin() as renewing:
            assert renewing.execute(mine).all() == [(job,)]
