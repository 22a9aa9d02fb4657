"""``jobcron web``: serve the dashboard of an instance, for one person on this machine, or behind a proxy.

Without a proxy it listens on loopback only, and whoever has the link that is printed at the start is the operator.
Behind a proxy that is named, the proxy says who somebody is; who may look and act is named too. There is no other
way in, and no default that opens one.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from waitress.server import create_server

from jobcron.errors import ConfigurationError, DirectoryError
from jobcron.reports.logs import FORMAT, Formatter, StandardError
from jobcron.web._access import OPERATOR, READER
from jobcron.web._connections import Channel, Door
from jobcron.web._logins import Proxy, ProxyLogin, TokenLogin, secret_of
from jobcron.web.mounting import MAX_REQUEST, application, close

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Place", "Proxy", "place_of", "secret_of", "serve"]

THREADS = 4

_PLACE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5})")


CONNECTIONS = 500
"""The most connections at once; `select` takes about a thousand files."""

PATIENCE = 20
"""How many seconds a connection may send nothing, or a request may take to arrive: it must keep nobody out."""


class Place(NamedTuple):
    """Where a server listens.

    Attributes:
        host: an address of this machine.
        port: the port; 0: any that is free.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    def beside(self, number: int) -> str:
        """Return the place so many ports behind this one, as an option; any port stays any port."""
        return f"{_named(self.host)}:{self.port + number if self.port else 0}"


def place_of(text: str) -> Place:
    """Return where to listen, given ``HOST:PORT``.

    Raises:
        ConfigurationError: it is no such place.
    """
    found = _PLACE.fullmatch(text)
    host = "" if found is None else found["six"] or found["host"]
    host = "127.0.0.1" if host == "localhost" else host
    try:
        ipaddress.ip_address(host)
        if found is None or int(found["port"]) > 65535:
            raise ValueError(text)
    except ValueError:
        raise ConfigurationError(
            f"--listen: expected an address and a port such as 127.0.0.1:8765 or [::1]:8765, got: {text!r}"
        ) from None
    return Place(host, int(found["port"]))


def serve(
    config: str | None, place: Place, proxy: Proxy | None, tell: Callable[[str], None], *, may_act: bool = True
) -> None:
    """Serve the dashboard until SIGTERM, SIGINT or Ctrl-C.

    Args:
        config: the instance, as for ``--config``.
        place: where to listen.
        proxy: the proxy; None: for whoever has the link, on loopback.
        tell: prints a line.
        may_act: whether whoever has the link may act; else they may look.

    Raises:
        ConfigurationError: the configuration or an option is wrong.
        DirectoryError: the place cannot be had.
    """
    _check(place, proxy)
    login = TokenLogin(OPERATOR if may_act else READER) if proxy is None else ProxyLogin(proxy)
    _log()
    app = application(config, authorize=login.authorize)
    listening = Door.of(_listening(place), None if proxy is None else proxy.addresses)
    server = create_server(
        login.around(app.wsgi_app),
        sockets=[listening],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=PATIENCE,
        cleanup_interval=PATIENCE // 4,
        ident="",
        max_request_body_size=MAX_REQUEST + 1,  # the page itself says that more is too large
        clear_untrusted_proxy_headers=False,  # ProxyFix reads them, of the proxy's requests only
    )
    server.channel_class = Channel  # type: ignore[union-attr]  # several servers only of several sockets
    address = f"http://{_named(place.host)}:{listening.getsockname()[1]}"
    if isinstance(login, TokenLogin):
        tell(f"The dashboard is at {address}{login.path}")
        tell(f"Whoever has this link may {'act' if may_act else 'look'}, until this process ends. Ctrl-C ends it.")
    else:
        tell(f"The dashboard is at {address}, for the proxy.")
    signal.signal(signal.SIGTERM, _leave)
    try:
        server.run()
    finally:
        close(app)


def _check(place: Place, proxy: Proxy | None) -> None:
    if proxy is None and not place.is_loopback:
        raise ConfigurationError(
            f"--listen: expected an address of loopback, got: {place.host}, which other machines reach: name the "
            "proxy that says who somebody is with --proxy"
        )
    if proxy is not None:
        proxy.check()


def _listening(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    try:
        return socket.create_server((place.host, place.port), family=family)
    except OSError as error:
        raise DirectoryError(f"--listen: cannot listen on {place.host}:{place.port}: {error.strerror}") from error


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _log() -> None:
    """Let what is done, and what fails, go to standard error.

    waitress warns of each request that waits for a thread, which a page with its style and script makes three of.
    """
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    handler = StandardError()
    handler.setFormatter(Formatter(FORMAT))
    for name, level in (("jobcron", logging.INFO), ("waitress", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(handler)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
