"""A PostgreSQL server that lets everybody in, and then never says anything: one that hangs on its storage."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class MuteServer:
    """Serves at 127.0.0.1 until the block ends.

    Attributes:
        statements: what the clients have asked.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self.statements: list[bytes] = []

    def url_like(self, other: str) -> str:
        """Return the URL of a database here, over the driver of another URL."""
        return f"{other.partition(':')[0]}://nobody@127.0.0.1:{self._listener.getsockname()[1]}/none"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for sock in (self._listener, *self._clients):
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            while struct.unpack("!ii", client.recv(4096)[:8])[1] in (SSL_REQUEST, GSS_REQUEST):
                client.sendall(b"N")
            settings = {"server_version": "15.0", "client_encoding": "UTF8", "DateStyle": "ISO, MDY"}
            told = [_message(b"S", f"{name}\0{value}\0".encode()) for name, value in settings.items()]
            client.sendall(
                _message(b"R", struct.pack("!i", 0))
                + b"".join(told)
                + _message(b"K", bytes(8))
                + _message(b"Z", b"I")
            )
            while asked := client.recv(65536):
                self.statements.append(asked)


def _message(kind: bytes, text: bytes) -> bytes:
    return kind + struct.pack("!i", len(text) + 4) + text
