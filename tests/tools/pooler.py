"""A pooler before a private PostgreSQL server, which hands out connections by the transaction."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg2

from jobcron.testing.programs import server_account
from jobcron.testing.server import PrivatePostgreSQL

POOL_SIZE = 2

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server.port} user=postgres password={server.password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
server_reset_query_always = 0
query_wait_timeout = {wait_seconds}
logfile = {folder}/log
pidfile = {folder}/pid
"""


class Pooler:
    """A private pgbouncer before a server.

    Args:
        server: the server.
        pool_size: how many connections it has for each database.
        wait_seconds: how long a client waits for one of them, at most.

    Raises:
        RuntimeError: there is no pgbouncer.
    """

    def __init__(self, server: PrivatePostgreSQL, pool_size: int = POOL_SIZE, wait_seconds: int = 120) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise RuntimeError("pgbouncer is missing: on Debian and Ubuntu apt-get install pgbouncer")
        self.folder = Path(tempfile.mkdtemp(prefix="jobcron-pool-", dir="/tmp"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        path = self.folder / "pgbouncer.ini"
        values = {"server": server, "port": self.port, "pool_size": pool_size, "folder": self.folder}
        path.write_text(CONFIGURATION.format(**values, wait_seconds=wait_seconds))
        account = server_account()
        for owned in (self.folder, path):
            if account:
                os.chown(owned, account["user"], account["group"])
        path.chmod(0o600)
        self._process = subprocess.Popen([program, "-q", str(path)], **account)

    def url(self, database: str) -> str:
        """Return the URL of a database, through the pooler."""
        return f"postgresql+psycopg2://postgres@127.0.0.1:{self.port}/{database}"

    def wait(self, database: str) -> None:
        """Wait until it answers."""
        for _ in range(100):
            with suppress(psycopg2.OperationalError):
                psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname=database).close()
                return
            time.sleep(0.05)
        raise RuntimeError(f"pgbouncer does not answer:\n{(self.folder / 'log').read_text()}")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder)
