"""Canaries are planted wherever a secret may be, then everything that was written is searched: none is found."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

import fooapp
from instances import Instance, wait_until
from jobcron import ConfigurationError, Database, JobStatus, load_settings, new_mail, send
from jobcron.commands._init import init
from jobcron.commands.checks._check_config import check_config
from jobcron.reports.mail import Outbox, post
from jobcron.scripts.control import Control
from jobcron.settings.secrets import Redactor, hide
from leak_search import command_lines, files_below
from paths import JOBCRON
from secretsapp import TelltaleJob

KNOWN = {
    "url password": "c4naryOfTheUrl",
    "url query": "c4naryOfTheQuery",
    "mail": "c4naryOfTheMail",
    "environment": "c4naryOfTheEnvironment",
    "environment url": "c4naryOfTheOtherUrl",
}
"""Uttered without any name beside them: what says that they are secret is where they were planted."""

NAMED = {
    "metadata": "c4naryOfTheData",
    "argument": "c4naryOfTheArgument",
}

MORE = """
oops_level: WARNING
metrics_dir: {metrics}
"""

SECTIONS = """
[tell]
source_interface: secretsapp.TelltaleJob
runner_class: {runner}
"""

WAYS = ("raise", "hook", "cause", "user", "retry", "suspend", "sql", "log", "print")


def planted(instance: Instance, mail: str) -> dict[str, str]:
    """Plant the canaries in the configuration, and return those that are there, by where."""
    found = dict(KNOWN)
    if instance.database.dialect == "postgresql":  # the private server trusts its socket, whatever the password
        url = make_url(instance.url).set(password=KNOWN["url password"])
        url = url.update_query_dict({"sslpassword": KNOWN["url query"]})
        instance.url = url.render_as_string(hide_password=False)
    else:
        del found["url password"], found["url query"]
    if mail == "file":
        del found["mail"]
    return found


@pytest.mark.feature("LP-19", "LP-25", "LP-26")
@pytest.mark.parametrize(
    ("runner", "mail"), [("JobRunner", "file"), ("ProcessJobRunner", "file"), ("JobRunner", "smtp")]
)
def test_no_canary_gets_out_however_a_job_utters_it(instance: Instance, runner: str, mail: str) -> None:
    known = planted(instance, mail)
    metrics = instance.path / "metrics"
    metrics.mkdir(parents=True, exist_ok=True)
    instance.configure(MORE.format(metrics=metrics), SECTIONS.format(runner=runner))
    conf = instance.path / "jobcron.conf"
    text = conf.read_text().replace("fooapp:register", "secretsapp")
    if mail == "smtp":
        text = text.replace(
            f"mail: file:{instance.path / 'mail'}",
            f"mail: smtp://me:{KNOWN['mail']}@127.0.0.1:1",
        )
    conf.write_text(text)
    with instance.session() as session:
        for how in WAYS:
            TelltaleJob.create(
                session=session,
                metadata={"password": NAMED["metadata"]},
                how=how,
                api_key=NAMED["argument"],
            )
    environment = {
        "CANARIES": json.dumps(list(known.values())),
        "SHOP_API_TOKEN": KNOWN["environment"],
        "SHOP_DATABASE": f"postgresql://me:{KNOWN['environment url']}@127.0.0.1/shop",
    }
    log = f"--log-file=DEBUG:{instance.path / 'log' / 'tell.log'}"
    out, err = instance.command("run", "-v", "-v", "tell", log, extra_env=environment)
    if runner == "JobRunner":
        assert out.count(NAMED["metadata"]) == 1  # a known limit: what a job prints there goes where it prints
        out = ""
    said = "\n".join(
        "".join(instance.command(*words, extra_env=environment))
        for words in (["check-config"], ["oops"], ["oops", instance.oopses()[0].name])
    )
    rows = instance.rows()
    assert [row.status for row in rows].count(JobStatus.FAILED) == 5
    written = files_below(instance.path)
    for witness in ("calling with ***", "password=***", "jobcron_jobs_ended_total"):
        assert witness in written, witness
    assert ("sending ***" in written) == (mail == "file")
    for name, canary in {**known, **NAMED}.items():
        for where, text in (
            ("standard output", out),
            ("standard error", err),
            ("commands", said),
            ("history", str(instance.query("SELECT detail FROM jobcron_event"))),
            ("the rows of runs", str(instance.query("SELECT * FROM jobcron_run"))),
            ("the rows' logs", str([row.log for row in rows])),
            ("files", written),
        ):
            assert canary not in text, f"the canary of the {name} is in {where}"


@pytest.mark.feature("LP-19")
@pytest.mark.parametrize("runner", ["JobRunner", "ProcessJobRunner"])
def test_no_canary_is_on_a_command_line(instance: Instance, tmp_path: Path, runner: str) -> None:
    known = planted(instance, "file")
    instance.configure(sections=f"[act]\nsource_interface: fooapp.IActJobSource\nrunner_class: {runner}\n")
    go_on, began = tmp_path / "go on", tmp_path / "began"
    with instance.session() as session:
        metadata = {
            "do": [["touch", str(began)], ["wait_for", str(go_on)]],
            "password": NAMED["metadata"],
        }
        fooapp.ActJob.create(instance.foo(session), session=session, metadata=metadata)
    running = subprocess.Popen(
        [JOBCRON, "run", "act"],
        env={
            **os.environ,
            "JOBCRON_CONFIG": str(instance.path),
            "SHOP_API_TOKEN": KNOWN["environment"],
            "PGPASSWORD": KNOWN["url password"],
        },
    )
    wait_until(began.exists, "the job to begin")
    seen = command_lines(running.pid)
    go_on.touch()
    assert running.wait(60) == 0
    assert "jobcron" in seen
    for canary in (*known.values(), *NAMED.values()):
        assert canary not in seen


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize(
    "form",
    [
        "ALTER ROLE x PASSWORD '{}'",
        "Authorization: Token {}",
        "{{'Authorization': 'Basic {}'}}",
        "Cookie: sessionid={}; csrf=x",
        '{{"password": "abc\\"{}"}}',
        "[('password', '{}')]",
        "<password>{}</password>",
        "psql --password {} shop",
        "pwd={}",
        "access_key: {}",
        "postgresql://me:pa/s@{}@host/db",
    ],
)
def test_what_looks_like_a_secret_is_hidden_in_any_text(form: str) -> None:
    assert "hunter22" not in Redactor().text(form.format("hunter22"))


@pytest.mark.feature("LP-25")
def test_values_are_hidden_whatever_their_type_and_counters_are_not() -> None:
    value = {"password": 12345678, "pwd": "x", "access_key": "y", "items": [("password", "z")], "lease_token": 7}
    assert Redactor().value(value) == {
        "password": "***",
        "pwd": "***",
        "access_key": "***",
        "items": [["password", "***"]],
        "lease_token": 7,
    }


@pytest.mark.feature("LP-25")
def test_hiding_twice_leaves_json_as_it_is() -> None:
    text = json.dumps({"password": "***", "api_key": "***", "x": 1})
    assert json.loads(Redactor().text(text)) == {"password": "***", "api_key": "***", "x": 1}


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    "text",
    [
        "  database_url: postgresql://me:{}@h/db",
        "[jobcron]\n database_url = postgresql://me:{}@h/db",
        "[jobcron]\ndatabase_url: postgresql://me:x@{}@h/db\nstate_dir: state",
        "[jobcron]\ndatabase_url: oracle://me:{}@h/db\nstate_dir: state",
        "[jobcron]\ndatabase_url: sqlite:///x.db\nstate_dir: state\nmail: smtp://me:{}/x@h:nine",
        "[jobcron]\ndatabase_url: sqlite:///x.db\nstate_dir: state\ncron_control: https://me:{}@h/c",
    ],
)
def test_a_mistake_in_a_configuration_is_told_without_its_passwords(tmp_path: Path, text: str) -> None:
    (tmp_path / "jobcron.conf").write_text(text.format("hunter22"))
    with pytest.raises(ConfigurationError) as caught:
        load_settings(str(tmp_path))
    assert "hunter22" not in str(caught.value)


@pytest.mark.feature("LP-13")
def test_a_database_is_described_without_any_of_its_passwords() -> None:
    database = Database("postgresql://me:hunter22@h/db?sslpassword=hunter23&password=hunter24&sslmode=require")
    assert "hunter2" not in database.describe()
    assert "sslmode=require" in database.describe()


@pytest.mark.feature("LP-28")
def test_the_query_of_the_control_files_url_is_not_told(tmp_path: Path) -> None:
    verdict = Control("http://127.0.0.1:1/c.ini?token=hunter22").ask("x")
    assert verdict.is_problem
    assert "127.0.0.1:1/c.ini" in verdict.reason
    assert "hunter22" not in verdict.reason


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("url", ["postgresql://me:hunter22@h/db", "postgresql://me@h/db?password=hunter22"])
def test_a_configuration_with_a_password_is_for_its_user_alone(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    init(str(tmp_path / "inst"), url, "fooapp")
    path = tmp_path / "inst" / "jobcron.conf"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    check_config(str(path.parent))
    assert f"warning  {path}: everybody may read the password in it: chmod o= {path}" in capsys.readouterr().out


@pytest.mark.feature("LP-19")
def test_a_mail_has_no_secret_of_the_configuration_and_those_that_it_is_to_bring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_API_TOKEN", "hunter22hunter22")
    hide(["hunter23hunter23"])
    mail = new_mail("hunter22hunter22", "hunter23hunter23 https://shop/reset?token=abc")
    hide(())
    assert mail["Subject"] == "***"
    assert mail.get_content() == "*** https://shop/reset?token=abc\n"


@pytest.mark.feature("LP-19")
@pytest.mark.parametrize(
    "recipient", ["a@example.com, b@evil.example", "a@x; b@y", "<a@x> <b@y>", "x: a@b;", "a@x\nBcc: b@y", ""]
)
def test_a_recipient_is_one_address(monkeypatch: pytest.MonkeyPatch, recipient: str) -> None:
    outbox = Outbox()
    monkeypatch.setattr(post, "transport", outbox)
    with pytest.raises(ValueError, match="expected the address of one recipient"):
        send(["a@example.com", recipient], new_mail("x", "y"))
    assert outbox == []
    send(["root", "Jürg <a@example.com>"], new_mail("x", "y"))
    assert [mail["To"] for mail in outbox] == ["root, Jürg <a@example.com>"]


@pytest.mark.feature("LP-19")
def test_a_subject_is_bounded() -> None:
    mail = new_mail("é " * 200_000, "x")
    assert len(mail["Subject"]) < 250
    assert len(mail.as_bytes()) < 2000


@pytest.mark.feature("LP-16")
def test_control_characters_in_fields_of_jobs_reach_no_terminal(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session, name="\x1b]0;owned\x07")
        metadata = {"do": [["sql", "SELECT '\x1b[2J' FROM nowhere"]]}
        fooapp.ActJob.create(foo, session=session, metadata=metadata, description="\x1b[31m\r\x9b")
    _, err = instance.command("run", "-v", "-v", "act")
    assert not set(err) & {chr(c) for c in range(32) if chr(c) not in "\n\t"} | (set(err) & {"\x7f", "\x9b"})
    out, _ = instance.command("oops", instance.oopses()[0].name)
    assert "\x1b" not in out
