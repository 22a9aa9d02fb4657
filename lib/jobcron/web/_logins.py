"""The two ways into `jobcron web`: the link that it prints, or a proxy that says who somebody is."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from werkzeug.http import dump_cookie, parse_cookie
from werkzeug.middleware.proxy_fix import ProxyFix

from jobcron.errors import ConfigurationError
from jobcron.jobs.hand_moves import operator_name
from jobcron.web._access import HEADERS, OPERATOR, READER, Visitor

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ANYBODY = "*"
"""Stands for whoever the proxy lets in."""

SECRET_HEADER = "X-Jobcron-Proxy-Secret"
"""The header with which a proxy proves that it is the proxy."""

MIN_SECRET = 20
"""The shortest secret of a proxy, in characters."""

NOBODY = ("", "-", "(null)")
"""What proxies send for somebody who has no name."""

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")


@dataclass(frozen=True)
class Proxy:
    """A proxy that says who somebody is.

    Attributes:
        addresses: from where it connects; nobody else is answered.
        header: the header with the user's name; the proxy has to set it, or remove it, in every request.
        operators: the users who may look and act; ``*``: whoever has a name.
        readers: the users who may look.
        secret: what it sends in `SECRET_HEADER`; None: its address is enough.
    """

    addresses: tuple[str, ...]
    header: str
    operators: tuple[str, ...]
    readers: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)

    def check(self) -> None:
        """Refuse a proxy that lets nobody in, or about which something is wrong.

        Raises:
            ConfigurationError: as said.
        """
        for address in self.addresses:
            try:
                is_local = _is_of_this_machine(address)
            except ValueError:
                raise ConfigurationError(
                    f"--proxy: expected the address of the proxy, such as 10.0.0.1, got: {address!r}"
                ) from None
            if is_local and self.secret is None:
                raise ConfigurationError(
                    f"expected --proxy-secret-file, with a text that the proxy sends as {SECRET_HEADER}, "
                    f"because every user of this machine can connect from --proxy {address}"
                )
        if not _HEADER.fullmatch(self.header):
            raise ConfigurationError(f"--user-header: expected a name such as X-Remote-User, got: {self.header!r}")
        if not self.operators and not self.readers:
            raise ConfigurationError(
                "expected --operator or --reader together with --proxy: the names of those who may act or look, "
                f"or {ANYBODY} for whoever the proxy lets in"
            )


def _is_of_this_machine(address: str) -> bool:
    """Return whether programs of this machine can connect from an address.

    Raises:
        ValueError: it is no address.
    """
    found = ipaddress.ip_address(address)
    if found.is_loopback:
        return True
    with socket.socket(socket.AF_INET6 if found.version == 6 else socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def secret_of(path: str) -> str:
    """Return the secret of a proxy, which is the text of a file.

    Raises:
        ConfigurationError: it cannot be read, others may read it, or it is too short.
    """
    try:
        with open(path, encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1000).strip()
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
        raise ConfigurationError(f"cannot read the file of --proxy-secret-file, {path} ({told})") from error
    # No colon after the option's name: what follows one would be hidden as a secret.
    if mode & stat.S_IRWXO:
        raise ConfigurationError(
            f"expected the file of --proxy-secret-file, {path}, closed to other users, got: mode "
            f"{stat.S_IMODE(mode):o}"
        )
    if len(text) < MIN_SECRET or not text.isprintable():
        raise ConfigurationError(
            f"expected one line of at least {MIN_SECRET} characters in the file of --proxy-secret-file, {path}, "
            f"got: {len(text)} characters"
        )
    return text


class TokenLogin:
    """Lets in whoever has the link, and keeps that in a cookie; the token is new at each start.

    Cookies do not know ports: what the browser keeps for this server would go to every other one on this host,
    perhaps of another user. So the pages, and with them the cookies, are below a path that nobody can guess.

    Args:
        role: what they may do.
    """

    def __init__(self, role: str) -> None:
        self._token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._visitor = Visitor(role, operator_name())
        self._cookie = f"jobcron_login_{secrets.token_hex(4)}"
        self._root = f"/s-{secrets.token_urlsafe(16)}"

    @property
    def path(self) -> str:
        """What the link has after the address."""
        return f"{self._root}/login?token={self._token}"

    def authorize(self, environ: WSGIEnvironment) -> Visitor | None:
        """Return the visitor of a request that has the cookie."""
        # What is no UTF-8 is left out, whatever cookie it is in: parse_cookie would fail.
        sent = environ.get("HTTP_COOKIE", "").encode("latin-1").decode(errors="ignore")
        given = parse_cookie(sent.encode().decode("latin-1")).get(self._cookie, "")
        return self._visitor if hmac.compare_digest(given.encode(), self._session.encode()) else None

    def around(self, app: WSGIApplication) -> WSGIApplication:
        """Return an application that answers the link, and leaves the rest below its path to `app`."""

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if not _is_loopback(environ.get("HTTP_HOST", "")):
                return refuse(start_response, "This server answers under the names of loopback only.")
            path = environ.get("PATH_INFO", "")
            if not path.startswith(f"{self._root}/"):
                return refuse(start_response, "This address is not of this server, or of an earlier one.")
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = self._root, path.removeprefix(self._root)
            if environ["PATH_INFO"] != "/login":
                return app(environ, start_response)
            given = parse_qs(environ.get("QUERY_STRING", "")).get("token", [""])[0]
            if environ["REQUEST_METHOD"] != "GET" or not hmac.compare_digest(given.encode(), self._token.encode()):
                return refuse(start_response, "This link is not of this server, or of an earlier one.")
            root = f"{self._root}/"
            cookie = dump_cookie(self._cookie, self._session, path=root, httponly=True, samesite="Strict")
            start_response("303 See Other", [*HEADERS.items(), ("Location", root), ("Set-Cookie", cookie)])
            return []

        return answer


def _is_loopback(host: str) -> bool:
    """Return whether a request asks for this machine; a page of another site can let its own name point here."""
    name = re.sub(r":\d{0,5}\Z", "", host) if "]" in host or host.count(":") == 1 else host
    try:
        return name.lower() == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


class ProxyLogin:
    """Lets in whom a proxy names.

    Args:
        proxy: the proxy, checked.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._addresses = frozenset(map(ipaddress.ip_address, proxy.addresses))
        self._key = _key(proxy.header)
        self._secret = proxy.secret
        self._roles = {**dict.fromkeys(proxy.readers, READER), **dict.fromkeys(proxy.operators, OPERATOR)}

    def authorize(self, environ: WSGIEnvironment) -> Visitor | None:
        """Return the visitor whom the proxy named."""
        user = environ.get("REMOTE_USER") or ""
        role = self._roles.get(user) or self._roles.get(ANYBODY)
        return Visitor(role, user) if user and role else None

    def around(self, app: WSGIApplication) -> WSGIApplication:
        """Return an application that hears nobody but the proxy, and believes what it says of the request."""
        told = ProxyFix(app, x_for=1, x_proto=1, x_host=1, x_prefix=1)

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            environ.pop("REMOTE_USER", None)
            if not self._is_proxy(environ):
                return refuse(start_response, "This server answers its proxy only.")
            try:
                user = environ.get(self._key, "").encode("latin-1").decode().strip()
            except UnicodeDecodeError:
                return refuse(start_response, "The name of the user is no UTF-8.")
            environ["REMOTE_USER"] = "" if user in NOBODY else user
            return told(environ, start_response)

        return answer

    def _is_proxy(self, environ: WSGIEnvironment) -> bool:
        given = environ.pop(_key(SECRET_HEADER), "").encode("latin-1")
        try:
            peer = ipaddress.ip_address(environ.get("REMOTE_ADDR", ""))
        except ValueError:
            return False
        is_proved = self._secret is None or hmac.compare_digest(given, self._secret.encode())
        return peer in self._addresses and is_proved


def _key(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}"


def refuse(start_response: StartResponse, told: str) -> Iterable[bytes]:
    """Answer a request that is not let in."""
    start_response("403 Forbidden", [*HEADERS.items(), ("Content-Type", "text/plain; charset=utf-8")])
    return [f"{told}\n".encode()]
