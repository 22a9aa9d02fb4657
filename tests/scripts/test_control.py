"""The control file: scripts are switched off without touching crontab, and nothing else can go wrong by it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus
from paths import JOBCRON
from script_runs import do_foo

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def controlled(instance: Instance, text: str, where: str | None = None) -> Path:
    """Write a control file, and let the instance name it; return its path."""
    path = instance.path / "control.ini"
    instance.configure(f"cron_control: {where or path}\n")
    path.write_text(text)
    return path


def is_run(instance: Instance, *arguments: str) -> tuple[bool, str]:
    """Make a job and run its section; tell whether it was run, and what was said."""
    job = do_foo(instance)
    out, err = instance.command("run", "do_foo", *arguments)
    assert out == ""
    assert "Traceback" not in err
    return instance.row(job).status is JobStatus.COMPLETED, err


@pytest.mark.feature("LP-28")
@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        ("[DEFAULT]\nenabled: false\n", False),
        ("[do_foo]\nenabled: false\n", False),
        ("[DEFAULT]\nenabled: true\n[do_foo]\nenabled: off\n", False),
        ("[DEFAULT]\nenabled: false\n[do_foo]\nenabled: true\n", True),
        ("[DEFAULT]\nenabled: False\n[act]\nenabled: true\n", False),
        ("[DEFAULT]\nenabled: false\n[do_foo]\n", False),
        ("[act]\nenabled: false\n", True),
        ("", True),
    ],
)
@on_sqlite
def test_the_file_turns_scripts_off_and_their_own_section_wins(
    instance: Instance, text: str, enabled: bool
) -> None:
    controlled(instance, text)
    ran, err = is_run(instance)
    assert ran is enabled
    assert ("INFO    Disabled by section [" in err) is not enabled
    assert "ERROR" not in err


@pytest.mark.feature("LP-28")
@pytest.mark.parametrize("typo", ["enabld: true", "enabled: ture", "enabled: true\nreason: none"])
@on_sqlite
def test_a_typo_in_a_section_turns_nothing_on_that_the_default_turns_off(instance: Instance, typo: str) -> None:
    path = controlled(instance, f"[DEFAULT]\nenabled: false\n[do_foo]\n{typo}\n")
    ran, err = is_run(instance)
    assert not ran
    assert f"ERROR   The control file {path}: section [do_foo]" in err
    assert f"; disabled by section [DEFAULT] of {path}\n" in err
    with path.open("a") as file:
        file.write("[process-job-sources]\nenabled: true\n")
    job = do_foo(instance)
    _, err = instance.command("process-job-sources", "--all")
    assert instance.row(job).status is JobStatus.WAITING
    assert f"ERROR   do_foo: The control file {path}: section [do_foo]" in err
    controlled(instance, f"[DEFAULT]\nenabled: true\n[do_foo]\n{typo}\n")
    ran, err = is_run(instance)
    assert ran
    assert "nothing is turned off by it" in err


@pytest.mark.feature("LP-28")
def test_a_script_that_is_off_asks_no_database_and_leaves_no_row(instance: Instance) -> None:
    path = controlled(instance, "[do_foo]\nenabled: false\n")
    _, err = is_run(instance)
    assert f"INFO    Disabled by section [do_foo] of {path}" in err
    assert instance.query("SELECT * FROM jobcron_run") == []
    _, err = instance.command("run", "do_foo", extra_env={"JOBCRON_DATABASE_URL": "postgresql://nobody@nowhere/x"})
    assert "Disabled" in err
    _, err = instance.command("run", "do_foo", "-q")
    assert err == ""


@pytest.mark.feature("LP-28")
@on_sqlite
def test_what_is_on_is_said_to_those_who_ask(instance: Instance) -> None:
    path = controlled(instance, "[do_foo]\nenabled: true\n")
    _, err = is_run(instance, "-v")
    assert f"DEBUG   Enabled by section [do_foo] of {path}" in err
    path.unlink()
    ran, err = is_run(instance, "-v")
    assert ran
    assert f"DEBUG   Enabled: there is no control file {path}" in err
    assert "ERROR" not in err


@pytest.mark.feature("LP-28")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[DEFAULT]\nenabled: perhaps\n",
            "section [DEFAULT], key enabled: expected true or false, got: 'perhaps'",
        ),
        ("[do_foo]\nenabled:\n", "section [do_foo], key enabled: expected true or false, got: ''"),
        ("[do_foo]\nenable: false\n", "section [do_foo]: unknown key enable; expected one of: enabled"),
        ("enabled: false\n", "cannot be read as an INI file"),
        ("[do_foo\nenabled: false\n", "cannot be read as an INI file"),
        ("[do_foo]\nenabled: false\nenabled: true\n", "cannot be read as an INI file"),
        ("x" * ((1 << 20) + 1), "expected at most 1048576 bytes, got more"),
    ],
    ids=lambda text: text[:20],
)
@on_sqlite
def test_what_is_wrong_in_the_file_is_an_error_and_turns_nothing_off(
    instance: Instance, text: str, message: str
) -> None:
    path = controlled(instance, text)
    ran, err = is_run(instance)
    assert ran
    assert f"ERROR   The control file {path}: " in err
    assert message in err


@pytest.mark.feature("LP-28")
@pytest.mark.parametrize("wrong", ["everybody", "everybody's folder", "binary", "folder", "pipe", "loop"])
@on_sqlite
def test_a_file_that_cannot_be_trusted_turns_nothing_off(instance: Instance, wrong: str) -> None:
    path = controlled(instance, "[DEFAULT]\nenabled: false\n")
    folder = instance.path / "open"
    match wrong:
        case "everybody":
            path.chmod(0o666)
        case "everybody's folder":
            folder.mkdir()
            path = path.rename(folder / "control.ini")
            folder.chmod(0o777)
            instance.configure(f"cron_control: {path}\n")
        case "binary":
            path.write_bytes(b"[DEFAULT]\nenabled: \xff\n")
        case "folder":
            path.unlink()
            path.mkdir()
        case "pipe":
            path.unlink()
            os.mkfifo(path)
        case "loop":
            path.unlink()
            path.symlink_to(path)
    ran, err = is_run(instance)
    assert ran
    assert f"ERROR   The control file {path}: " in err


@pytest.mark.feature("LP-28")
@pytest.mark.parametrize(
    "where", ["{path}", "control.ini", "file:{path}", "file://{path}", "file://localhost{path}"]
)
@on_sqlite
def test_the_file_is_named_by_path_or_url(instance: Instance, where: str) -> None:
    controlled(instance, "[DEFAULT]\nenabled: false\n", where.format(path=instance.path / "control.ini"))
    assert is_run(instance)[0] is False


@pytest.mark.feature("LP-28", "LP-29")
@pytest.mark.parametrize(
    "where",
    ["ftp://h/x", "http://", "http://u:c4nary-pw@h/x", "http://h:0/x", "file:", "file://other/x", "https:x"],
)
@on_sqlite
def test_a_url_that_is_none_is_refused(instance: Instance, where: str) -> None:
    instance.configure(f"cron_control: {where}\n")
    _, err = instance.command("run", "do_foo", expect=2)
    assert "section [jobcron], key cron_control: expected a" in err
    assert "c4nary" not in err


class Handler(BaseHTTPRequestHandler):
    """Answers as its path says."""

    def do_GET(self) -> None:
        """Answer."""
        off = b"[DEFAULT]\nenabled: false\n"
        match self.path:
            case "/off":
                self._answer(200, off)
            case "/on":
                self._answer(200, b"[DEFAULT]\nenabled: true\n")
            case "/redirect":
                self._answer(302, b"", location="/off")
            case "/round":
                self._answer(302, b"", location="/round")
            case "/to-file":
                self._answer(302, b"", location="file:///etc/passwd")
            case "/huge":
                self._answer(200, b"#" * (1 << 20) + off)
            case "/slow":
                self._drip(off)
            case path:
                self._answer(int(path[1:]), b"no")

    def _answer(self, status: int, content: bytes, location: str | None = None) -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _drip(self, content: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(60):
            try:
                self.wfile.write(b"#")
            except OSError:
                return
            time.sleep(0.5)
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def web_server() -> Iterator[str]:
    """Serve inside the block; return the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.feature("LP-28")
@pytest.mark.parametrize(
    ("path", "enabled", "message"),
    [
        ("/off", False, "Disabled by section [DEFAULT] of http://"),
        ("/on", True, ""),
        ("/redirect", False, "Disabled"),
        ("/404", True, ""),
        ("/500", True, "cannot be read: status 500"),
        ("/round", True, "cannot be read: status 302"),
        ("/to-file", True, "cannot be read: status 302"),
        ("/huge", True, "expected at most 1048576 bytes, got more"),
        ("/slow", True, "expected an answer within 5 seconds, got none"),
    ],
)
@on_sqlite
def test_the_file_may_be_a_web_servers(instance: Instance, path: str, enabled: bool, message: str) -> None:
    with web_server() as url:
        instance.configure(f"cron_control: {url}{path}\n")
        ran, err = is_run(instance)
    assert ran is enabled
    assert message in err
    assert ("ERROR" in err) is (enabled and message != "")


@pytest.mark.feature("LP-28")
@on_sqlite
def test_a_web_server_that_is_down_turns_nothing_off(instance: Instance) -> None:
    with web_server() as url:
        pass
    instance.configure(f"cron_control: {url}/off\n")
    ran, err = is_run(instance)
    assert ran
    assert "ERROR" in err
    assert "Connection refused" in err


@pytest.mark.feature("LP-28")
@on_sqlite
def test_check_config_says_what_is_off(instance: Instance) -> None:
    path = controlled(instance, "[act]\nenabled: false\n[process-job-sources]\nenabled: false\n")
    out, _ = instance.command("check-config")
    assert f"warning  act: Disabled by section [act] of {path}" in out
    assert "warning  process-job-sources: Disabled by section" in out
    path.write_text("[DEFAULT]\nenabled: what\n")
    out, _ = instance.command("check-config", expect=1)
    assert "error    " in out
    assert out.count("expected true or false, got: 'what'") == 1
    path.write_text("")
    out, _ = instance.command("check-config")
    assert f"ok       cron_control {path}: nothing is turned off" in out


@pytest.mark.feature("LP-28")
@on_sqlite
def test_only_those_who_have_a_control_file_pay_for_it(instance: Instance) -> None:
    instance.state.mkdir(mode=0o700)
    loaded = {}
    for where in ("none", str(controlled(instance, "[DEFAULT]\nenabled: true\n"))):
        instance.configure(f"cron_control: {where}\n")
        instance.run("do_foo")
        instance.command("run", "do_foo")
        command = [
            sys.executable,
            "-X",
            "importtime",
            str(JOBCRON),
            "run",
            "do_foo",
            "--config",
            str(instance.path),
        ]
        loaded[where] = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    without, with_file = loaded.values()
    assert "jobcron.queue.tick" in without
    assert "configparser" not in without
    assert "jobcron.scripts.control" not in without
    assert "configparser" in with_file
    for text in (without, with_file):
        for heavy in ("urllib.request", "logging", "sqlalchemy", "jobcron.scripts._endings", "cProfile"):
            assert f" {heavy}\n" not in text


@on_sqlite
def test_check_config_tells_of_a_misspelt_section_and_of_a_file_that_is_not_there(instance: Instance) -> None:
    controlled(instance, "[do_fo]\nenabled: false\n[DEFALT]\nenabled: false\n[reports.py]\nenabled: false\n")
    out, _ = instance.command("check-config")
    path = instance.path / "control.ini"
    for name, meant in (("do_fo", "do_foo"), ("DEFALT", "DEFAULT")):
        assert f"{path} switches [{name}], which is no section; did you mean {meant}?" in out
    assert "[reports.py]" not in out
    path.unlink()
    assert f"cron_control {path}: there is no such file" in instance.command("check-config")[0]
