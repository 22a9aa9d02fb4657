"""Mail to a server that wants STARTTLS and a login: a real conversation."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from jobcron import ConfigurationError, new_mail, send
from jobcron.reports.mail import post

PASSWORD = "p@ss:w/ord%"
QUOTED = "p%40ss%3Aw%2Ford%25"


class Server:
    """Keeps what it gets: mails, with whether they came over TLS, and the passwords that it was told."""

    def __init__(self) -> None:
        self.got: list[tuple[bool, str]] = []
        self.told: list[tuple[bytes, bytes]] = []
        self.port = 0

    async def handle_DATA(self, server: object, session: Any, envelope: Any) -> str:
        """Take a mail, as of aiosmtpd."""
        self.got.append((session.ssl is not None, envelope.content.decode()))
        return "250 OK"

    def authenticate(
        self, server: object, session: object, envelope: object, mechanism: str, data: Any
    ) -> AuthResult:
        """Judge a login, as of aiosmtpd."""
        self.told.append((data.login, data.password))
        return AuthResult(success=self.told[-1] == (b"me", PASSWORD.encode()), handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate of 127.0.0.1, and its key, that nobody has signed."""
    folder = tmp_path_factory.mktemp("certificate")
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    options += f" -addext subjectAltName=IP:127.0.0.1 -keyout {folder / 'key'} -out {folder / 'certificate'}"
    subprocess.run(["openssl", *options.split()], check=True, capture_output=True)
    path = folder / "both"
    path.write_text((folder / "key").read_text() + (folder / "certificate").read_text())
    return path


@pytest.fixture
def serve(certificate: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server, with or without STARTTLS."""
    controllers = []

    def start(*, tls: bool = True, login: bool = True) -> Server:
        server, options = Server(), dict[str, Any]()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            server.port = probe.getsockname()[1]
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            options = {"tls_context": context, "require_starttls": True}
        if login:
            options |= {"authenticator": server.authenticate, "auth_required": tls, "auth_require_tls": tls}
        controllers.append(Controller(server, hostname="127.0.0.1", port=server.port, **options))
        controllers[-1].start()
        return server

    yield start
    for controller in controllers:
        controller.stop()


@pytest.fixture
def deliver(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server, str], None]:
    """Return a function that sends a mail to a server as the key ``mail`` says."""
    monkeypatch.setattr(post, "transport", post.transport)
    monkeypatch.setattr(post, "sender", post.sender)

    def deliver(server: Server, user: str) -> None:
        post.configure(f"smtp://{user}127.0.0.1:{server.port}", "jobs@example.com", [])
        send(["you@example.com"], new_mail("Done", "It is done."))

    return deliver


Serve = Callable[..., Server]
Deliver = Callable[[Server, str], None]


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process trust the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.feature("LP-19")
@pytest.mark.usefixtures("trusted")
def test_a_server_that_proves_who_it_is_gets_the_password_and_the_mail_over_tls(
    serve: Serve, deliver: Deliver
) -> None:
    server = serve()
    deliver(server, f"me:{QUOTED}@")
    ((is_safe, text),) = server.got
    assert is_safe
    assert "Subject: Done" in text
    assert server.told == [(b"me", PASSWORD.encode())]


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_is_an_error_that_names_the_key_and_not_the_password(
    serve: Serve, deliver: Deliver
) -> None:
    server = serve()
    with pytest.raises(ConfigurationError, match="key mail: expected 127.0.0.1:") as caught:
        deliver(server, "me:wr0ng@")
    assert "535" in str(caught.value)
    assert "wr0ng" not in str(caught.value)
    assert (server.got, server.told[0]) == ([], (b"me", b"wr0ng"))


@pytest.mark.parametrize("tls", [True, False])
def test_a_server_that_does_not_prove_who_it_is_is_told_no_password(
    serve: Serve, deliver: Deliver, tls: bool
) -> None:
    server = serve(tls=tls)
    with pytest.raises(ConfigurationError, match="key mail"):
        deliver(server, f"me:{QUOTED}@")
    assert (server.got, server.told) == ([], [])


@pytest.mark.parametrize("tls", [True, False])
def test_a_mail_without_a_login_goes_over_tls_where_the_server_has_it(
    serve: Serve, deliver: Deliver, tls: bool
) -> None:
    server = serve(tls=tls, login=False)
    deliver(server, "")
    assert [is_safe for is_safe, _ in server.got] == [tls]


def test_a_text_in_place_of_a_list_of_addresses_is_refused_by_that_name() -> None:
    with pytest.raises(ValueError, match="expected a list of addresses, got the text 'me@example.com'"):
        send("me@example.com", new_mail("subject", "body"))  # type: ignore[arg-type]
