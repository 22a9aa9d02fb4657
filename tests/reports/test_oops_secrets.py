"""Secrets are in no report, log, mail or row that a failure leaves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from failing_jobs import CANARY, everything_written, fail, leaks, report_of
from instances import Instance
from jobcron import JobStatus


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
def test_what_looks_like_a_secret_in_a_message_is_hidden(instance: Instance, kind: str) -> None:
    for message in (
        f"password={CANARY}A",
        f"Password: '{CANARY}B'",
        f"could not connect to postgresql://me:{CANARY}C@host/db",
        f"smtp://me:{CANARY}D@host refused",
        f'{{"api_key": "{CANARY}E"}}',
        f"secret = {CANARY}F, and more",
        f"Authorization: Bearer {CANARY}G",
        f"token={CANARY}H",
        f"host=db user=me password={CANARY}I dbname=x",
        f"postgresql://host/db?user=me&password={CANARY}J&sslmode=disable",
        f"redis://:{CANARY}K@host/0",
    ):
        fail(instance, kind, message=f"it failed: {message}")
    assert leaks(instance, instance.run("fail", "-v")) == []


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
def test_a_secret_of_the_environment_is_hidden_wherever_it_stands(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    names = ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SMTP_PASSWD", "API_KEY")
    for number, name in enumerate(names):
        monkeypatch.setenv(name, f"{CANARY}{number}")
        fail(instance, kind, message=f"it failed with {CANARY}{number}.", vars={"harmless": f"x{CANARY}{number}"})
    log = instance.run("fail", "-v")
    assert leaks(instance, log) == []
    assert everything_written(instance, log).count("it failed with ***.") >= len(names)


@pytest.mark.feature("LP-25")
def test_a_secret_is_hidden_in_the_names_of_variables_too(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", CANARY)
    fail(instance, message="it failed", vars={"deep": {CANARY: 1}, f"n{CANARY}": 2, "list": [[CANARY]]})
    assert leaks(instance, instance.run("fail", "-v")) == []


@pytest.mark.feature("LP-25")
def test_a_variable_whose_name_says_that_it_is_secret_is_hidden(instance: Instance) -> None:
    names = ["api_key", "API-KEY", "apiKey", "password", "db_passwd", "token", "Cookie", "dsn", "private-key"]
    values = {name: f"{CANARY}{name}" for name in names}
    fail(instance, message="it failed", vars={**values, "deep": [values], "lease_token": 7})
    assert leaks(instance, instance.run("fail", "-v")) == []
    variables = report_of(instance)["req_vars"]
    hidden = dict.fromkeys(names, "***")
    assert {name: variables[name] for name in names} == hidden
    assert (variables["deep"], variables["lease_token"]) == ([hidden], 7)


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
@pytest.mark.parametrize("where", ["plain", "escaped", "query"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_password_of_the_database_is_hidden_wherever_it_stands(
    instance: Instance, kind: str, where: str
) -> None:
    # The test server trusts everybody, so any password does.
    shown = {"plain": CANARY, "escaped": f"{CANARY}/@:", "query": CANARY}[where]
    url = instance.database.engine.url
    url = url.update_query_dict({"password": shown}) if where == "query" else url.set(password=shown)
    instance.url = url.render_as_string(hide_password=False)
    fail(instance, kind, message=f"it failed with {shown}.", vars={"harmless": shown})
    assert leaks(instance, instance.run("fail", "-v")) == []


@pytest.mark.feature("LP-25")
def test_a_password_of_the_mail_server_is_hidden(instance: Instance, tmp_path: Path) -> None:
    fail(instance, "value", message=f"it failed with {CANARY}.")
    path = instance.path / "jobcron.conf"
    path.write_text(re.sub("^mail: .*$", f"mail: smtp://me:{CANARY}@127.0.0.1:1", path.read_text(), flags=re.M))
    log = instance.run("fail", "-v")
    assert "could be told" in log
    assert CANARY not in everything_written(instance, log)


@pytest.mark.feature("LP-25")
def test_an_error_while_telling_people_is_logged_without_secrets(instance: Instance) -> None:
    job = fail(instance, bad_mail=f"mail failed: password={CANARY}")
    log = instance.run("fail", "-v")
    assert instance.row(job).status is JobStatus.FAILED
    assert "mail failed" in log
    assert CANARY not in everything_written(instance, log)


@pytest.mark.feature("LP-25")
def test_the_environment_is_not_in_a_report(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBCRON_TEST_HARMLESS", CANARY)
    fail(instance)
    assert CANARY not in everything_written(instance, instance.run("fail", "-v"))
