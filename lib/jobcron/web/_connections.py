"""Whom the server of ``jobcron web`` lets in, and how long it waits for them."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from waitress.channel import HTTPChannel


class Door(socket.socket):
    """A listening socket that closes connections of others than the proxy at once: they take no place of its own.

    Attributes:
        allowed: the addresses that are let in; None: all.
    """

    allowed: frozenset[IPv4Address | IPv6Address] | None = None

    @classmethod
    def of(cls, listening: socket.socket, addresses: Iterable[str] | None) -> Self:
        """Return such a socket instead of `listening`."""
        made = cls(fileno=listening.detach())
        made.allowed = None if addresses is None else frozenset(map(ipaddress.ip_address, addresses))
        return made

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection.

        Raises:
            ConnectionAbortedError: it was of somebody else. The server goes on with the next one.
        """
        connection, peer = super().accept()
        if self.allowed is None or ipaddress.ip_address(peer[0]) in self.allowed:
            return connection, peer
        connection.close()
        raise ConnectionAbortedError(errno.ECONNABORTED, f"{peer[0]} is not the proxy")


class Channel(HTTPChannel):
    """A connection whose request has to arrive within the server's time limit as a whole.

    The server closes connections whose last activity was too long ago. For waitress each piece of a request is
    activity, so whoever sends a byte now and then keeps a connection for ever; here only its first piece is.
    """

    def handle_read(self) -> None:
        """Read what has arrived."""
        unfinished, since = self.request, self.last_activity
        super().handle_read()
        if unfinished is not None and self.request is unfinished:
            self.last_activity = since
