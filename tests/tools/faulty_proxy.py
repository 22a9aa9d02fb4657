"""A proxy before a PostgreSQL server that cuts connections on demand: at a COMMIT, or at any message.

Tests of lost connections and of commits whose answer never arrives use it.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Literal, Self

from jobcron.testing.server import PrivatePostgreSQL

Cut = Literal["before", "after", "overtaken"]
"""Where the connection is cut: before the COMMIT reaches the server; after the server has answered it; or so that
the COMMIT is still on its way and reaches the server later than the client's next words."""

DELAY_SECONDS = 0.8
COMMIT = b"COMMIT\0"

ALONE = b"jobcron_complete", b"DISCARD SEQUENCES"
"""What is in a message that completes a job and commits itself: its name, or what clears the session before it."""

TERMINATE = b"X" + struct.pack("!i", 4)


class FaultyProxy:
    """Forwards connections to a server at 127.0.0.1, byte for byte; once armed, it cuts at the next COMMIT.

    A statement that completes a job and commits itself counts as one.

    Args:
        server: where they lead.
    """

    def __init__(self, server: PrivatePostgreSQL) -> None:
        self._server_port = server.port
        self._password = server.password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._armed: Cut | None = None
        self._at: int | None = None
        self._commits_before = 0
        self._stays_down = False
        self._counting = threading.Lock()
        self.messages = 0
        self.cuts = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def url(self, database: str) -> str:
        """Return the URL of a database, through the proxy."""
        # Neither TLS nor GSSAPI: the messages have to be readable here.
        options = "sslmode=disable&gssencmode=disable"
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}?{options}"

    def arm(self, cut: Cut, number: int = 1) -> None:
        """Cut the connection that sends the so many-th COMMIT from now on."""
        with self._counting:
            self._armed, self._commits_before = cut, number - 1

    def arm_at(self, message: int, cut: Cut, *, stays_down: bool) -> None:
        """Cut at the so many-th message from now on.

        Args:
            message: its number, from 1; connections begin with one, and each statement is one.
            cut: see `Cut`; a message that is no COMMIT is answered into the void.
            stays_down: whether no connection can be made until `heal`.
        """
        with self._counting:
            self.messages, self._at, self._armed, self._stays_down = 0, message, cut, stays_down

    def heal(self) -> None:
        """Cut nothing any more."""
        with self._counting:
            self._at, self._armed, self._stays_down = None, None, False

    @property
    def _is_down(self) -> bool:
        return self._stays_down and self._at is not None and self.messages >= self._at

    def _cut_at(self, message: bytes) -> Cut | None:
        """Count a client's message, and return how to cut there."""
        with self._counting:
            self.messages += 1
            if self._at is None:
                here = _commits(message[5:]) and self._armed is not None
                if here and self._commits_before > 0:
                    self._commits_before, here = self._commits_before - 1, False
            else:
                here = self.messages >= self._at if self._stays_down else self.messages == self._at
            if self._armed is None or not here:
                return None
            self.cuts += 1
            cut = self._armed
            if self._at is None:
                self._armed = None
            return cut

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_down:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._server_port))
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """Read the client's messages one by one; what the server says is passed on by another thread."""
        is_muted = threading.Event()
        answers = threading.Thread(target=_pass_on, args=(server, client, is_muted), daemon=True)
        answers.start()
        with suppress(OSError, EOFError):
            message = _message(client, has_type=False)
            while True:
                cut = self._cut_at(message)
                if cut is not None:
                    is_muted.set()
                    if cut == "overtaken":
                        _hang_up(client)
                        time.sleep(DELAY_SECONDS)
                    if cut != "before":
                        server.sendall(message + TERMINATE)
                        answers.join()  # the server has committed and closed
                    break
                server.sendall(message)
                message = _message(client, has_type=True)
        _hang_up(client)
        _hang_up(server)
        answers.join()
        client.close()
        server.close()


def _commits(text: bytes) -> bool:
    if text.startswith(b"SET CONSTRAINTS"):  # in the job's transaction
        return False
    return (
        text == COMMIT or (b"SET status = 2" in text or b"EXECUTE" in text) and any(sign in text for sign in ALONE)
    )


def _hang_up(sock: socket.socket) -> None:
    # close() alone would say nothing to the other side while the other thread still reads.
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _message(sock: socket.socket, *, has_type: bool) -> bytes:
    head = _exactly(sock, 5 if has_type else 4)
    (length,) = struct.unpack("!i", head[-4:])
    return head + _exactly(sock, length - 4)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _pass_on(source: socket.socket, target: socket.socket, is_muted: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if not is_muted.is_set():
                target.sendall(data)
    if not is_muted.is_set():
        _hang_up(target)
