"""Canaries in rows of the database and in the account of the mail server: a run lets none of them out."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from sqlalchemy.engine import make_url

import fooapp
from instances import Instance, fork_server, wait_until
from jobcron import JobStatus
from jobcron.settings.instance import load_settings
from jobcron.settings.secrets import Redactor
from leak_search import command_lines, files_below
from paths import JOBCRON

CANARIES = {
    "password": "c4naryOfTheUrl",
    "smtp": "c4naryOfTheMail",
    "environment": "c4naryOfTheEnvironment",
    "metadata": "c4naryOfTheData",
    "message": "c4naryOfTheMessage",
    "detail": "c4naryOfTheDetail",
    "second line": "c4naryOfTheSecondLine",
    "cast": "c4naryOfTheCast",
}

SECTIONS = """
[act]
source_interface: fooapp.IActJobSource
runner_class: {runner}
"""


class Mailbox:
    """A mail server that asks for a password, and keeps what it is told."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.passwords: list[str] = []
        self.port = 0

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        """Keep a mail, as it came and as it reads."""
        message = message_from_bytes(envelope.content)
        parts = [part.get_payload(decode=True) or b"" for part in message.walk()]
        self.mails.append("\n".join(str(part) for part in (envelope.content, message.items(), *parts)))
        return "250 OK"

    def admit(self, server: object, session: object, envelope: object, mechanism: str, data: Any) -> AuthResult:
        """Note the password."""
        self.passwords.append(data.password.decode())
        return AuthResult(success=True)


@pytest.fixture
def mailbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """Return a mail server of the test's own."""
    mailbox = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        mailbox.port = probe.getsockname()[1]
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        *subject,
    ]
    subprocess.run(made, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)  # a password goes only to a server that proves who it is
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    ways: Any = {"authenticator": mailbox.admit, "auth_required": True, "tls_context": tls}
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, **ways)
    controller.start()
    yield mailbox
    controller.stop()


@pytest.mark.feature("LP-19", "LP-25", "LP-26")
@pytest.mark.parametrize("runner", ["JobRunner", "ProcessJobRunner"])
def test_no_canary_gets_out(instance: Instance, tmp_path: Path, mailbox: Mailbox, runner: str) -> None:
    url = instance.url
    if instance.database.dialect == "postgresql":  # the private server trusts its socket, whatever the password
        url = make_url(url).set(password=CANARIES["password"]).render_as_string(hide_password=False)
    instance.url = url
    instance.configure(sections=SECTIONS.format(runner=runner))
    conf = instance.path / "jobcron.conf"
    mail = f"mail: smtp://me:{CANARIES['smtp']}@127.0.0.1:{mailbox.port}"
    conf.write_text(conf.read_text().replace(f"mail: file:{instance.path / 'mail'}", mail))
    instance.query("CREATE TABLE vault (id INTEGER PRIMARY KEY, secret TEXT UNIQUE)")
    lines = f"{CANARIES['detail']}\n\n{CANARIES['second line']}"
    instance.query("INSERT INTO vault VALUES (1, :lines), (2, :cast)", lines=lines, cast=CANARIES["cast"])
    if instance.database.dialect == "postgresql":
        instance.query("GRANT ALL ON vault TO PUBLIC")
    go_on, began = tmp_path / "go on", tmp_path / "began"
    told = ["boss@example.com"]
    with instance.session() as session:
        for actions in (
            [["raise", "value"]],
            [["sql", "INSERT INTO vault SELECT 3, secret FROM vault WHERE id = 1"]],
            [["sql", "INSERT INTO vault SELECT CAST(secret AS INTEGER), 'x' FROM vault WHERE id = 2"]],
            [["raise", "password"]],
            [["touch", str(began)], ["wait_for", str(go_on)]],
        ):
            metadata = {"do": actions, "tell": told, "password": CANARIES["metadata"]}
            fooapp.ActJob.create(instance.foo(session), session=session, metadata=metadata)
    environment = {
        **os.environ,
        "JOBCRON_CONFIG": str(instance.path),
        "SHOP_API_TOKEN": CANARIES["environment"],
        "PGPASSWORD": CANARIES["password"],
    }
    log = f"--log-file=DEBUG:{instance.path / 'log' / 'act.log'}"
    running = subprocess.Popen(
        [JOBCRON, "run", "-v", "act", log],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(began.exists, "the last job to begin")
    seen = command_lines(running.pid)
    go_on.touch()
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    said = "\n".join(
        fork_server().run(JOBCRON, words, environment, None, 60)[1]
        for words in (["check-config"], ["check-runs"], ["oops"], ["crontab"])
    )
    events = str(instance.query("SELECT detail FROM jobcron_event"))
    logs = str([row.log for row in instance.rows()])
    assert "Traceback" in logs
    assert {*mailbox.passwords} == {CANARIES["smtp"]}
    assert len(mailbox.mails) == sum(row.status is JobStatus.FAILED for row in instance.rows()) >= 3
    assert "jobcron" in seen
    for name, canary in CANARIES.items():
        for where, text in (
            ("command lines", seen),
            ("standard output", out),
            ("standard error", err),
            ("commands", said),
            ("history", events),
            ("the rows' logs", logs),
            ("files", files_below(instance.path)),
            ("mails", "\n".join(mailbox.mails)),
        ):
            assert canary not in text, f"the canary of the {name} is in {where}"
    for secret in ("hunter2", "s3cr3tpw"):  # of the error that has passwords in its message
        assert secret not in err + logs + events + files_below(instance.path) + "\n".join(mailbox.mails)


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('invalid input syntax for type integer: "s3cret"', "invalid input syntax for type integer: ***"),
        ('malformed array literal: "s3"cr\net"', "malformed array literal: ***"),
        ('value "53" is out of range for type integer', "value *** is out of range for type integer"),
        (
            '(psycopg2.errors.X) time zone "s3cret" not recognized',
            "(psycopg2.errors.X) time zone *** not recognized",
        ),
        ('(psycopg2.errors.X) relation "foo" does not exist', '(psycopg2.errors.X) relation "foo" does not exist'),
        ("psycopg2.errors.X: a\nDETAIL:  b\n\nc\nHINT:  d", "psycopg2.errors.X: a\nDETAIL: ***\nHINT:  d"),
        ("a\nLINE 1: SELECT s3cret\n   ^\n[SQL: SELECT b]", "a\nLINE 1: ***\n[SQL: SELECT b]"),
        ('  | DETAIL:  b\n  | c\n  +--- 2 ---\n  | V: "d"', '  | DETAIL: ***\n  +--- 2 ---\n  | V: "d"'),
        ('a job said "this": "that"', 'a job said "this": "that"'),
    ],
)
def test_messages_of_the_database_show_names_and_no_values(message: str, shown: str) -> None:
    assert Redactor().text(message) == shown


@pytest.mark.feature("LP-26")
@pytest.mark.parametrize(
    ("database_url", "mail", "secrets"),
    [
        ("sqlite:////a/file", "smtp://localhost:25", []),
        ("postgresql://host:5432/db?application_name=jobs", "smtp://[::1]:2525/", []),
        ("postgresql://me@host:5432/db", "smtp://me@localhost:25", []),
        ("postgresql://me:s3cret@host:5432/db", "smtp://you:0ther@[::1]:25", ["s3cret", "0ther"]),
        ("postgresql://me:a%40b%3Ac+d@host/db", None, ["a@b:c+d", "a%40b%3Ac+d"]),
        ("postgresql://host/db?user=me&password=a%40b%3Ac+d&x=y", None, ["a@b:c d", "a@b:c+d", "a%40b%3Ac+d"]),
        ("postgresql://me:12345@host/db", None, ["12345"]),
        ("postgresql://me:raw@si:gn/s@host/db", None, ["raw", "raw@si:gn/s"]),
        ("postgresql://host/db?password=raw@si:gn/s", None, ["raw@si:gn/s"]),
        ("sqlite:////a/file", "smtp://me:n0host", ["n0host"]),
        ("sqlite:////a/file", "smtp://me:n0host?x", ["n0host?x"]),
        ("postgresql://me:s3cret@host:notaport/db", None, ["s3cret"]),
    ],
)
def test_the_passwords_of_urls_are_secrets_whatever_is_wrong_with_the_url_and_ports_are_none(
    tmp_path: Path, database_url: str, mail: str | None, secrets: list[str]
) -> None:
    (tmp_path / "jobcron.conf").write_text(
        f"[jobcron]\ndatabase_url: sqlite:///a.db\nstate_dir: {tmp_path}/state\n"
    )
    settings = load_settings(str(tmp_path))._replace(database_url=database_url, mail=mail)
    found = settings.secrets()
    assert set(secrets) <= set(found)
    if not secrets:
        assert found == []
