"""`jobcron web`: for whoever has the link, or behind a proxy; there is no third way in."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from instances import Instance, wait_until
from jobcron import ConfigurationError
from jobcron.web.serving import Place, place_of
from paths import JOBCRON

SECRET = {"X-Jobcron-Proxy-Secret": "a-secret-of-the-proxy-only"}

Answer = tuple[int, dict[str, str], str]


class Server:
    """A running `jobcron web`.

    Attributes:
        told: what it has printed at its start.
        host: the address on which it listens.
        port: its port.
    """

    def __init__(self, told: str, process: subprocess.Popen[str]) -> None:
        self.told, self.process = told, process
        found = re.search(r"http://(?:\[(::1)\]|(127\.0\.0\.1)):(\d+)(\S*[^\s.,])?", told)
        assert found is not None, told
        self.host, self.port, self.path = found[1] or found[2], int(found[3]), found[4] or ""

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        """Send a request as it is."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, dict(answer.getheaders()), text


def secret_file(instance: Instance) -> str:
    """Return a file with the secret of the proxy."""
    path = instance.path.with_name("proxy-secret")
    path.touch(0o600)
    path.write_text("a-secret-of-the-proxy-only\n")
    return str(path)


@contextmanager
def served(instance: Instance, *options: str, place: str = "127.0.0.1:0") -> Iterator[Server]:
    """Serve an instance for the block."""
    command = [str(JOBCRON), "--config", str(instance.path), "web", "--listen", place, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Server(process.stdout.readline(), process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, (out, err)
        assert "Traceback" not in err
    finally:
        process.kill()
        process.wait()


def test_whoever_has_the_link_is_let_in_and_nobody_else(instance: Instance) -> None:
    with served(instance) as server:
        root, _, token = server.path.partition("login?token=")
        assert re.fullmatch(r"/s-[\w-]{22}/", root)
        assert server.get(root)[0] == 403
        for path in ("", "?token=", "?token=x", f"?token={token}x", f"?token={token.swapcase()}"):
            assert server.get(f"{root}login{path}")[0] == 403, path
        assert server.get(server.path, method="POST")[0] == 403
        status, headers, _ = server.get(server.path)
        assert (status, headers["Location"]) == (303, root)
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert f"Path={root}" in cookie, "another port of this host does not get it"
        assert token not in cookie
        known = {"Cookie": cookie.partition(";")[0]}
        status, headers, text = server.get(f"{root}jobs", known)
        assert status == 200
        assert "No job yet" in text
        assert f'href="{root}sections"' in text
        assert f"Path={root}" in headers["Set-Cookie"], "also that of the forms"
        for path in ("/", "/jobs", root.rstrip("/"), f"{root.rstrip('/')}x/jobs", f"{root}../jobs"):
            assert server.get(path, known)[0] in (403, 404), path
        assert server.get(f"{root}jobs", {"Cookie": known["Cookie"][:-1]})[0] == 403
        assert server.get(f"{root}jobs", {"X-Remote-User": "ada", "REMOTE_USER": "ada"})[0] == 403
        assert server.get(root, {"Cookie": "other=\xff"})[0] == 403
        assert server.get(root, {"Cookie": f"other=\xff; {known['Cookie']}"})[0] == 200
        # A page of another site whose name leads here: DNS rebinding.
        assert server.get(f"{root}jobs", {**known, "Host": "evil.example"})[0] == 403
        for host in ("", "127.0.0.1.evil.example", "[::1].evil.example", "evil.example:80", "192.0.2.7", "::2"):
            assert server.get(root, {**known, "Host": host})[0] == 403, host
        for host in ("LOCALHOST", "127.0.0.1", "[::1]", "[::1]:8765", "127.0.0.2:1"):
            assert server.get(root, {**known, "Host": host})[0] == 200, host
        assert server.get(f"{root}jobs", {**known, "Host": f"localhost:{server.port}"})[0] == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_loopback_of_ipv6_serves_as_well(instance: Instance) -> None:
    with served(instance, place="[::1]:0") as server:
        assert server.host == "::1"
        status, headers, _ = server.get(server.path)
        assert status == 303
        known = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
        assert server.get(headers["Location"], known)[0] == 200


def test_a_link_can_be_for_looking_only(instance: Instance) -> None:
    with served(instance, "--read-only") as server:
        cookie = server.get(server.path)[1]["Set-Cookie"].partition(";")[0]
        text = server.get(server.path.partition("login")[0], {"Cookie": cookie})[2]
        assert ">reader<" in text
        assert "New job" not in text


def test_behind_a_proxy_the_proxy_says_who_somebody_is(instance: Instance) -> None:
    options = ["--proxy", "127.0.0.1", "--operator", "ada", "--operator", "zoë", "--reader", "ben"]
    with served(instance, *options, "--proxy-secret-file", secret_file(instance)) as server:
        for headers in ({}, {"X-Remote-User": ""}, {"X-Remote-User": "eve"}, {"X_Remote_User": "ada"}):
            assert server.get("/", {**headers, **SECRET})[0] == 403, headers
        assert ">operator<" in server.get("/", {"X-Remote-User": "ada", **SECRET})[2]
        assert ">reader<" in server.get("/", {"X-Remote-User": "ben", **SECRET})[2]
        assert ">zoë<" in server.get("/", {"X-Remote-User": "zoë".encode().decode("latin-1"), **SECRET})[2]
        assert server.get("/", {"X-Remote-User": "\xff", **SECRET})[0] == 403
        told = {**SECRET, "X-Remote-User": "ada", "X-Forwarded-Prefix": "/office", "X-Forwarded-Proto": "https"}
        status, headers, text = server.get("/jobs", told)
        assert status == 200
        assert 'href="/office/sections"' in text
        assert "Secure" in headers["Set-Cookie"]
        assert server.get("/login?token=x", {**SECRET, "X-Remote-User": "ada"})[0] == 404


def test_a_user_of_the_proxys_machine_is_not_taken_for_the_proxy(instance: Instance) -> None:
    options = ["--proxy", "127.0.0.1", "--proxy-secret-file", secret_file(instance), "--operator", "*"]
    with served(instance, *options) as server:
        ada = {"X-Remote-User": "ada"}
        for wrong in ("", "a-secret-of-the-proxy", "\xff"):
            status, _, text = server.get("/", {**ada, "X-Jobcron-Proxy-Secret": wrong})
            assert (status, text) == (403, "This server answers its proxy only.\n"), wrong
        assert server.get("/", ada)[0] == 403
        assert server.get("/", {**ada, **SECRET})[0] == 200
        for nobody in ("-", "(null)", " "):
            assert server.get("/", {"X-Remote-User": nobody, **SECRET})[0] == 403, nobody


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("a-secret-of-the-proxy-only", 0o644, "closed to other users, got: mode 644"),
        ("short", 0o600, "expected one line of at least 20 characters"),
        ("a-secret-of-the-proxy\nonly", 0o600, "expected one line of at least 20 characters"),
        (None, 0, "No such file or directory"),
    ],
)
def test_a_secret_that_others_know_or_guess_is_refused(
    instance: Instance, text: str | None, mode: int, told: str
) -> None:
    path = instance.path.with_name("proxy-secret")
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    options = ["--proxy", "127.0.0.1", "--operator", "ada", "--proxy-secret-file", str(path)]
    _, err = instance.command("web", *options, expect=2)
    assert f"the file of --proxy-secret-file, {path}" in err
    assert told in err
    assert "Traceback" not in err


def test_a_proxy_on_this_machine_without_a_secret_is_refused_in_a_whole_sentence(instance: Instance) -> None:
    _, err = instance.command("web", "--proxy", "127.0.0.1", "--operator", "ada", expect=2)
    assert "because every user of this machine can connect from --proxy 127.0.0.1" in err


def test_who_does_not_come_from_the_proxy_is_not_heard(instance: Instance) -> None:
    with served(instance, "--proxy", "192.0.2.7", "--operator", "*") as server:
        for _ in range(120):  # none of them takes a place, so that all are closed
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
                assert silent.recv(1) == b""
        with pytest.raises(ConnectionError):
            server.get("/", {"X-Remote-User": "ada", "X-Forwarded-For": "192.0.2.7"})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_connects_and_says_nothing_keeps_nobody_out(instance: Instance) -> None:
    with served(instance) as server, ExitStack() as stack:
        place = ("127.0.0.1", server.port)
        silent = [stack.enter_context(socket.create_connection(place, timeout=60)) for _ in range(150)]
        assert server.get(server.path)[0] == 303
        began = time.monotonic()
        assert silent[0].recv(1) == b"", "it is closed some time"
        assert time.monotonic() - began < 50


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (b"GET / HTTP/1.1\r\n", b"x: y\r\n"),
        (b"POST /look HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n", b"x"),
    ],
    ids=["headers", "body"],
)
def test_who_sends_a_request_drop_by_drop_is_not_waited_for(
    instance: Instance, begun: bytes, piece: bytes
) -> None:
    with served(instance) as server, socket.create_connection(("127.0.0.1", server.port), timeout=1) as slow:
        slow.sendall(begun)
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() < began + 60 and not is_closed(slow):
                slow.sendall(piece)
        assert time.monotonic() - began < 50
        assert server.get(server.path)[0] == 303


def is_closed(connection: socket.socket) -> bool:
    """Wait a second; return whether the other side has closed the connection meanwhile."""
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--listen", "0.0.0.0:0"], "--listen: expected an address of loopback, got: 0.0.0.0"),
        (["--listen", "[::]:0"], "--listen: expected an address of loopback, got: ::"),
        (["--listen", "8765"], "--listen: expected an address and a port such as 127.0.0.1:8765"),
        (["--proxy", "192.0.2.7"], "expected --operator or --reader together with --proxy"),
        (
            ["--proxy", "127.0.0.1", "--operator", "a"],
            "expected --proxy-secret-file",
        ),
        (
            ["--proxy", "127.8.8.8", "--operator", "a"],
            "expected --proxy-secret-file",
        ),
        (["--proxy-secret-file", "x"], "expected --proxy together with --operator"),
        (["--proxy", "proxy.example", "--operator", "ada"], "--proxy: expected the address of the proxy"),
        (["--proxy", "2001:db8::7", "--operator", "a", "--user-header", "a b"], "--user-header: expected a name"),
        (["--proxy", "::1", "--operator", "a", "--read-only"], "expected --read-only without --proxy"),
        (["--operator", "ada"], "expected --proxy together with --operator"),
    ],
)
def test_it_does_not_start_where_anybody_could_come_in(instance: Instance, options: list[str], told: str) -> None:
    _, err = instance.command("web", *options, expect=2)
    assert told in err
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_told(instance: Instance) -> None:
    with served(instance) as server:
        _, err = instance.command("web", "--listen", f"127.0.0.1:{server.port}", expect=1)
        assert f"cannot listen on 127.0.0.1:{server.port}: " in err


def test_without_its_packages_it_says_which_extra_brings_them(instance: Instance) -> None:
    code = (
        "import sys; sys.modules['flask'] = None; sys.modules['waitress'] = None\n"
        "from jobcron.commands.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = [str(JOBCRON.with_name("python")), "-c", code, "--config", str(instance.path), "web"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "pip install 'jobcron[web]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_done_goes_to_standard_error_with_the_user(instance: Instance) -> None:
    job = instance.act(("raise", "value"))
    options = ["--proxy", "127.0.0.1", "--proxy-secret-file", secret_file(instance), "--operator", "*"]
    with served(instance, *options) as server:
        cookie = server.get("/", {"X-Remote-User": "ada", **SECRET})[1]["Set-Cookie"].partition(";")[0]
        body = f"jobcron_csrf={cookie.partition('=')[2]}&act=cancel&id={job}&confirmed=yes"
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {
            "X-Remote-User": "ada", "Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded",
            "Sec-Fetch-Site": "same-origin", **SECRET,
        }  # fmt: skip
        connection.request("POST", "/act", body, headers)
        assert connection.getresponse().status == 200
        connection.close()
        wait_until(lambda: instance.events(job) == ["cancelled"], "the event")
        assert server.process.stderr is not None
        told = server.process.stderr.readline()
        assert f"cancel of jobs {job}: 1 cancelled, 0 refused, act 1; by web:ada from 127.0.0.1" in told


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:80", Place("127.0.0.1", 80)),
        ("localhost:0", Place("127.0.0.1", 0)),
        ("[::1]:8765", Place("::1", 8765)),
        ("10.0.0.1:1", Place("10.0.0.1", 1)),
    ],
)
def test_places_are_addresses_with_ports(text: str, place: Place) -> None:
    assert place_of(text) == place
    assert place.is_loopback is not text.startswith("10.")


@pytest.mark.parametrize(
    "text", ["", "localhost", ":80", "127.0.0.1:", "127.0.0.1:99999", "::1:80", "a:b:1", "h:80"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--listen: expected an address and a port"):
        place_of(text)
