"""A private PostgreSQL server for tests: created in a second or two, thrown away afterwards.

It needs PostgreSQL's programs, but no running server, no privileges and no configuration. As root, it
runs its servers as another user, because PostgreSQL refuses to be run by root.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

import psycopg2
from psycopg2 import sql

from jobcron.testing._cluster import Cluster

SUPERUSER = "postgres"
TIMEOUT_SECONDS = 60.0
PORT_ATTEMPTS = 5

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 1 << 30
"""Bytes that must be free in memory: a server with a few dozen databases needs a quarter of that."""
# why: decisions 2026-11-26, the private servers of tests

IN_MEMORY_SETTINGS = {"max_wal_size": "128MB"}

# The effect on running transactions: wait for their end, roll them back, or crash.
StopMode = Literal["smart", "fast", "immediate"]
_STOP_SIGNALS: Mapping[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}


class ServerFailed(RuntimeError):
    """A PostgreSQL program failed; the message ends with the last lines of its log."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _memory_has_room() -> bool:
    """Return whether there is a file system in memory with enough room; Docker's has only 64 MB by default."""
    try:
        found, mode = os.statvfs(MEMORY), MEMORY.stat().st_mode
    except OSError:
        return False
    is_for_all = mode & 0o1777 == 0o1777  # another user runs root's server
    return is_for_all and found.f_bavail * found.f_frsize >= MEMORY_BYTES


class PrivatePostgreSQL:
    """A private PostgreSQL server, reachable through a Unix socket and at 127.0.0.1.

    Its settings are PostgreSQL's defaults, with which commits are durable, except that it allows 200
    connections, and for those in `settings` (PostgreSQL's names and values). With `in_memory`, its files are in
    a file system in memory, if there is one with enough room. This is faster: each database is hundreds of files,
    and a disk takes long to create and remove them durably. The superuser is ``postgres``. The socket's
    directory is open to this user only; at 127.0.0.1 a random ``password`` is required. ::

        with PrivatePostgreSQL() as server:
            server.create_database("shop")
            engine = create_engine(server.url("shop"))

    `stop` and `start` keep the data, `close` removes it. The server does not outlive the process that created
    it: `close` is called at exit, and if the process is killed, a small watching process does the same (once
    the children that it created by a plain fork have ended as well).

    Raises:
        ServerNotFound: this machine has no PostgreSQL programs.
        ServerFailed: the server's files could not be created.
    """

    def __init__(self, *, settings: Mapping[str, str] | None = None, in_memory: bool = False) -> None:
        self._is_in_memory = in_memory and _memory_has_room()
        fitting = IN_MEMORY_SETTINGS if self._is_in_memory else {}
        self._settings = {"max_connections": "200", **fitting, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._kept: psycopg2.extensions.connection | None = None
        self._owner_pid = os.getpid()
        self._closed = False
        # Never below TMPDIR: the path of a Unix socket is limited to 107 bytes.
        place = MEMORY if self._is_in_memory else "/tmp"
        self._cluster = Cluster(place)
        self.directory = self._cluster.directory
        self.port = _free_port()
        self.password = secrets.token_urlsafe()
        atexit.register(self.close)
        try:
            self._make_data()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server and wait until it answers; do nothing if it is running.

        Raises:
            ServerFailed: the server ended or did not answer in time, or `close` was called before.
        """
        if self._closed:
            raise ServerFailed("expected a server that is not closed, got a closed one")
        if self._process is not None and self._process.poll() is None:
            return
        is_first = self._process is None
        for _ in range(PORT_ATTEMPTS):
            log_length = self._cluster.log.stat().st_size
            self._process = self._cluster.popen("postgres", "-D", str(self._cluster.data), *self._options())
            if self._answers(self._process):
                return
            if b"could not create any TCP/IP sockets" not in self._cluster.log.read_bytes()[log_length:]:
                break
            # Another process took the port. A first start may use another one; later the URLs are known.
            if is_first:
                self.port = _free_port()
            else:
                time.sleep(1)
        self._end(signal.SIGQUIT)
        raise self._failure("PostgreSQL did not start")

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server, but keep its data; do nothing if it is not running.

        ``smart`` waits until all clients have disconnected, ``fast`` rolls running transactions back, and
        ``immediate`` is like a crash, from which the next start recovers.

        Raises:
            ServerFailed: the server is still running after a minute.
        """
        if not self._end(_STOP_SIGNALS[mode]):
            raise self._failure(f"PostgreSQL did not stop ({mode})")

    def restart(self, mode: StopMode = "immediate") -> None:
        """Stop the server, with a crash unless `mode` says otherwise, and start it again.

        Raises:
            ServerFailed: as for `stop` and `start`.
        """
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server and remove all of its files; do nothing on a second call.

        Do nothing in a forked child either: the server is its parent's.
        """
        if self._closed or os.getpid() != self._owner_pid:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._end(signal.SIGQUIT)
        self._cluster.remove()

    def url(self, database: str = "postgres", user: str | None = None) -> str:
        """Return the SQLAlchemy URL of a database, through the Unix socket.

        Only the server's user and root can open the socket's directory.
        """
        name = quote(user or SUPERUSER, safe="")
        return f"postgresql+psycopg2://{name}@/{database}?host={self.directory}&port={self.port}"

    def tcp_url(self, database: str = "postgres", user: str | None = None) -> str:
        """Return the SQLAlchemy URL of a database at 127.0.0.1, with the superuser's password."""
        name = quote(user or SUPERUSER, safe="")
        if user is None:
            name += f":{self.password}"
        return f"postgresql+psycopg2://{name}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, either empty or as a copy of the database `template`, which must have no connections.

        Raises:
            psycopg2.Error: the name is taken, the template is missing or in use, …
        """
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        if self._is_in_memory and self._administration().server_version >= 150_000:
            # Faster than by the write-ahead log, because checkpoints cost nothing in memory.
            statement += sql.SQL(" STRATEGY FILE_COPY")
        self._execute(statement)

    def drop_database(self, name: str) -> None:
        """Drop the database of that name, if there is one, and disconnect its users.

        Raises:
            psycopg2.Error: the server does not answer, …
        """
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composable) -> None:
        with self._administration().cursor() as cursor:
            cursor.execute(statement)

    def _administration(self) -> psycopg2.extensions.connection:
        """Return the connection for creating and dropping databases; it is kept, since a new one takes as long."""
        kept = self._kept
        if kept is not None and os.getpid() == self._owner_pid:
            # The server may have ended it, or have been started again by others.
            with contextlib.suppress(psycopg2.Error), kept.cursor() as cursor:
                cursor.execute("SELECT 1")
                return kept
            kept.close()
        self._kept = kept = self._connect()
        kept.autocommit = True  # CREATE and DROP DATABASE cannot run in a transaction
        return kept

    def _make_data(self) -> None:
        process = self._process = self._cluster.start_initdb(SUPERUSER, self.password)
        if process.wait(TIMEOUT_SECONDS) != 0:
            raise self._failure("initdb failed")
        self._cluster.forget_password()
        self._process = None

    def _options(self) -> Iterator[str]:
        """Yield the settings as arguments of `postgres`."""
        fixed = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
        }
        for name, value in {**self._settings, **fixed}.items():
            yield from ("-c", f"{name}={value}")

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until the server accepts connections; return False if it ended or takes too long."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                self._connect().close()
            except psycopg2.OperationalError:
                time.sleep(0.02)
            else:
                return True
        return False

    def _end(self, stop_signal: signal.Signals) -> bool:
        """End the server, if it is running, and wait for its end; return False if it is still running."""
        if self._process is None:
            return True
        if self._kept is not None:  # a smart stop waits for it
            self._kept.close()
            self._kept = None
        self._process.send_signal(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(TIMEOUT_SECONDS)
        return self._process.poll() is not None

    def _connect(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(host=str(self.directory), port=self.port, user=SUPERUSER, dbname="postgres")

    def _failure(self, message: str) -> ServerFailed:
        lines = self._cluster.log.read_text(errors="replace").splitlines()
        return ServerFailed("\n".join([f"{message}; the end of its log:", *lines[-20:]]))
