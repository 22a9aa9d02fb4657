"""Who is let in, what they may do, where the dashboard is mounted; what an answer says and does not say."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask, abort, redirect
from pyramid.config import Configurator
from pyramid.wsgi import wsgiapp2
from werkzeug.test import Client

from instances import Instance, wait_until
from jobcron import ConfigurationError, Database, DatabaseUnavailable, JobStatus, NoSuchJob
from jobcron.jobs.hand_moves import operator_name
from jobcron.web import Visitor as Somebody
from jobcron.web import application, blueprint
from jobcron.web.mounting import MAX_REQUEST, close
from web_hosts import django_host, flask_host
from web_pages import Visitor


@pytest.fixture
def job(instance: Instance) -> int:
    """Return a job that has failed."""
    number = instance.act(("raise", "value"))
    instance.run("act")
    assert instance.row(number).status is JobStatus.FAILED
    return number


def test_authorize_has_no_default(instance: Instance) -> None:
    with pytest.raises(TypeError, match="authorize"):
        application(str(instance.path))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="authorize"):
        blueprint(str(instance.path))  # type: ignore[call-arg]


@pytest.mark.parametrize("said", [True, "admin", "", 1, ("operator",), Somebody("admin")])
def test_an_answer_of_authorize_that_is_none_of_the_roles_lets_nobody_in(
    instance: Instance, said: object, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(str(instance.path), authorize=lambda environ: said)  # type: ignore[arg-type, return-value]
    page = Visitor(app).get("/", expect=500)
    assert "authorize" not in page.words
    assert "expected authorize to return 'operator', 'reader', a Visitor or None" in caplog.text
    close(app)


def fail(error: Exception) -> None:
    """Raise an error, from where only an expression may stand."""
    raise error


@pytest.mark.parametrize(
    "error", [KeyError("shop.role"), ConfigurationError("no role in /etc/shop"), NoSuchJob(7)]
)
def test_an_authorize_that_fails_lets_nobody_in_and_tells_nothing(
    instance: Instance, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(str(instance.path), authorize=lambda environ: fail(error))
    page = Visitor(app).get("/jobs", expect=500)
    number = re.search(r"has it as (\w{8})\.", page.words)
    assert (
        page.words
        == f"500 · jobcron Something went wrong. The log of the dashboard {number and number[0]} 500, jobcron"
    )
    assert f"GET /jobs failed, {number and number[1]}" in caplog.text
    assert str(error) in caplog.text
    close(app)


def test_an_authorize_may_lead_to_the_login_of_its_host(instance: Instance) -> None:
    app = application(str(instance.path), authorize=lambda environ: abort(redirect("/login")))
    answer = app.test_client().get("/jobs")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login")
    assert answer.headers["Cache-Control"] == "no-store"
    close(app)


@pytest.mark.parametrize("user", [7, b"ada", object()])
def test_a_user_whose_name_is_no_text_is_let_in_nowhere(
    instance: Instance, user: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(str(instance.path), authorize=lambda environ: Somebody("operator", user))
    Visitor(app).get("/", expect=500)
    assert "expected authorize to return a Visitor whose user is text or None, got: " in caplog.text
    close(app)


@pytest.mark.parametrize(
    ("user", "actor"),
    [
        ("ada\nINFO jobcron.web nothing", "web:ada INFO jobcron.web nothing"),
        ("a\0b\x1b[2J\u202e", r"web:a\x00b\x1b[2J\u202e"),
        ("lone \ud800", r"web:lone \ud800"),
        (" \t ", f"web:{operator_name()}"),
        ("x" * 300, f"web:{'x' * 200}"),
    ],
)
def test_a_hostile_name_of_a_user_is_one_line_of_text_everywhere(
    instance: Instance, job: int, user: str, actor: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(str(instance.path), authorize=lambda environ: Somebody("operator", user))
    somebody = Visitor(app)
    with caplog.at_level(logging.INFO, "jobcron.web"):
        somebody.send(somebody.send(somebody.get(f"/jobs/{job}"), "/act", button="retry"), "/act")
    assert instance.query("SELECT actor FROM jobcron_act WHERE name LIKE 'retry%'") == [(actor,)]
    assert f"; by {actor} from 127.0.0.1" in caplog.text
    somebody.send(somebody.get("/sections"), "/pauses", scope="queue", name="letters")
    assert actor in somebody.get("/audit").words
    close(app)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
    ],
)
def test_a_form_of_another_site_is_refused(
    ada: Visitor, instance: Instance, job: int, headers: dict[str, str]
) -> None:
    token = dict(ada.get("/").form("/look").fields)["jobcron_csrf"]
    data = {"jobcron_csrf": token, "act": "retry", "id": job, "confirmed": "yes"}
    assert "does not come from a page of the dashboard" in ada.post("/act", data, 403, headers).words
    assert instance.row(job).status is JobStatus.FAILED
    ada.post("/act", data)
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://localhost.evil.example"])
def test_an_origin_of_another_site_is_refused_by_browsers_that_say_no_more(
    ada: Visitor, origin: str, job: int
) -> None:
    token = dict(ada.get("/").form("/look").fields)["jobcron_csrf"]
    data = {"jobcron_csrf": token, "act": "retry", "id": job, "confirmed": "yes"}
    ada.audience = {"Origin": origin}
    ada.post("/act", data, expect=403)
    ada.audience = {"Origin": "http://localhost"}
    ada.post("/act", data)


@pytest.mark.parametrize("token", ["", "x", "x" * 43])
def test_a_form_without_the_token_of_this_browser_is_refused(
    ada: Visitor, instance: Instance, job: int, token: str
) -> None:
    ada.get("/")
    data = {"jobcron_csrf": token, "act": "retry", "id": job, "confirmed": "yes"}
    ada.post("/act", data, expect=403)
    ada.client.delete_cookie("jobcron_csrf")
    ada.post("/act", data, expect=403)
    assert instance.row(job).status is JobStatus.FAILED


def test_a_cookie_of_another_making_is_no_token(ada: Visitor, job: int) -> None:
    ada.client.set_cookie("jobcron_csrf", "short")
    ada.post("/act", {"jobcron_csrf": "short", "act": "retry", "id": job, "confirmed": "yes"}, expect=403)


def test_what_is_done_is_recorded_with_the_user(
    ada: Visitor, instance: Instance, job: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "jobcron.web"):
        page = ada.send(ada.get(f"/jobs/{job}"), "/act", button="retry")
        ada.send(page, "/act", reason="the carrier is back")
    assert instance.query("SELECT actor, name, reason FROM jobcron_act") == [
        ("web:ada", "retry", "the carrier is back")
    ]
    assert ("web:ada",) in instance.query("SELECT actor FROM jobcron_event")
    assert f"retry of jobs {job}: 1 requeued, 0 refused, act 1; by web:ada from 127.0.0.1" in caplog.text


def test_the_name_of_a_visitor_comes_before_that_of_the_server(instance: Instance) -> None:
    app = application(str(instance.path), authorize=lambda environ: Somebody("operator", "carl"))
    page = Visitor(app, {"REMOTE_USER": "ada"}).get("/")
    assert "carl" in page.words
    assert "ada" not in page.words.split()
    close(app)


def test_files_of_the_pages_are_kept_by_browsers(ada: Visitor) -> None:
    found = [str(attributes["href"]) for tag, attributes in ada.get("/").tags if tag == "link"]
    for path in found:
        answer = ada.client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert "Set-Cookie" not in answer.headers


def test_a_refusal_is_a_page_that_leads_back(ada: Visitor, ben: Visitor, app: Flask, job: int) -> None:
    page = ada.get("/jobs/7777", expect=404)
    assert "expected a job with the number 7777, found none" in page.words
    assert {"/", "/jobs", "/audit"} <= set(page.links)
    token = dict(ada.get("/").form("/look").fields)["jobcron_csrf"]
    data = {"jobcron_csrf": token, "act": "retry"}
    for came, back in (
        ("http://localhost/jobs?status=failed", "/jobs?status=failed"),
        ("http://evil.example/jobs", None),
        ("http://localhost//evil.example", None),
        ("http://[", None),
    ):
        page = ada.post("/act", data, 400, {"Referer": came})
        found = [a.get("href") for tag, a in page.tags if tag == "a" and a.get("class") == "button"]
        assert found == ([] if back is None else [back]), came
    assert "To the overview" in ben.get("/jobs/7777", expect=404).words


def test_readers_are_told_no_paths(
    ada: Visitor, ben: Visitor, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: object) -> None:
        raise ConfigurationError(f"{instance.path}: expected a section, got: '/etc/shop.conf'")

    monkeypatch.setattr("jobcron.web._pages.schedules.acts.schedule_states", fail)
    assert f"{instance.path}: expected" in ada.get("/schedules", expect=400).words
    assert "…: expected a section, got: '…'" in ben.get("/schedules", expect=400).words


@pytest.mark.parametrize(
    "back", ["//evil.example", "/\\evil.example", "/\t/evil.example", "/x\r\nSet-Cookie: a=b", "x", ""]
)
def test_the_choice_of_colours_leads_to_no_other_site(ada: Visitor, back: str) -> None:
    token = dict(ada.get("/").form("/look").fields)["jobcron_csrf"]
    data = {"jobcron_csrf": token, "theme": "dark", "back": back}
    headers, environ = {"Sec-Fetch-Site": "same-origin"}, {"REMOTE_USER": "ada"}
    answer = ada.client.post("/look", data=data, headers=headers, environ_overrides=environ)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_the_choice_of_colours_leads_back_to_any_page(ada: Visitor) -> None:
    again = ada.send(ada.get("/jobs?error=no%20caf%C3%A9&status=failed"), "/look", button="dark")
    assert "Error has the text: no café" in again.words
    assert dict(again.tags)["html"]["data-theme"] == "dark"


def test_a_large_request_is_refused(ada: Visitor) -> None:
    token = dict(ada.get("/").form("/look").fields)["jobcron_csrf"]
    data = {"jobcron_csrf": token, "name": "x" * MAX_REQUEST}
    assert "too large" in ada.post("/new/job", data, expect=413).words


def test_an_error_says_nothing_of_the_inside(
    ada: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object, **named: object) -> object:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("jobcron.web._pages.doctor.examine", fail)
    page = ada.get("/doctor", expect=500)
    assert "secret" not in page.html
    assert "Traceback" not in page.html
    found = re.search(r"has it as ([0-9a-f]{8})\.", page.words)
    assert found is not None
    assert found[1] in caplog.text
    assert "the secret inside" in caplog.text


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_is_away_is_said_without_its_address(
    ada: Visitor, instance: Instance, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    ada.get("/")
    (dashboard,) = app.extensions["jobcron"]
    dashboard.database.close()
    dashboard.database = Database("postgresql+psycopg2://nobody:hunter22@127.0.0.1:1/none")
    page = ada.get("/jobs", expect=503)
    assert "The database cannot be used now." in page.words
    assert "hunter22" not in page.html + caplog.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whoever_waits_for_a_database_that_is_away_waits_once(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, tried, answers = count(), [], []
    looked = [0]

    def now() -> int:
        looked[0] = next(clock)
        return looked[0]

    def silent(*values: object) -> None:
        tried.append(values)
        if len(tried) == 1:
            wait_until(lambda: looked[0] >= 3, "four requests wait", 60)
        raise DatabaseUnavailable("it says nothing")

    monkeypatch.setattr("jobcron.web._dashboard.monotonic", now)
    monkeypatch.setattr("jobcron.web._dashboard.check_file", silent)
    app = application(str(instance.path), authorize=lambda environ: "reader")
    asking = [Thread(target=lambda: answers.append(app.test_client().get("/jobs").status_code)) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert (answers, len(tried)) == ([503] * 4, 1)
    assert (app.test_client().get("/jobs").status_code, len(tried)) == (503, 2), "who comes later tries again"
    monkeypatch.undo()
    assert app.test_client().get("/jobs").status_code == 200
    close(app)


def test_an_application_that_cannot_be_imported_is_told_and_its_jobs_are_shown(
    instance: Instance, job: int
) -> None:
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "noapp_of_mine"))
    app = application(str(instance.path), authorize=lambda environ: "operator")
    page = Visitor(app).get("/jobs")
    assert "The application cannot be imported" in page.words
    assert "noapp_of_mine" in page.words
    assert f"/jobs/{job}" in page.links
    close(app)


def test_the_configuration_is_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        application(str(tmp_path / "nowhere"), authorize=lambda environ: None)


# Mounted


@pytest.fixture
def host(instance: Instance) -> Iterator[Flask]:
    """Return an application of Flask that shows the dashboard at a path, and protects all its forms."""
    with flask_host(instance) as made:
        yield made


def test_it_works_in_flask_beside_the_hosts_own_protection_of_forms(
    host: Flask, instance: Instance, job: int
) -> None:
    ada = Visitor(host)
    ada.get("/office/jobs/", expect=403)
    ada.get("/login/operator")
    page = ada.get(f"/office/jobs/jobs/{job}")
    assert all(link.startswith(("/office/jobs/", "#")) for link in page.links)
    page = ada.send(page, "/act", button="retry")
    ada.send(page, "/act")
    assert instance.row(job).status is JobStatus.WAITING
    form = page.form("/act")
    without = [(name, value) for name, value in form.fields if name != "csrf_token"]
    assert len(without) < len(form.fields)
    ada.post(form.action, without, expect=400)  # the host's protection is on
    page = ada.send(ada.get("/office/jobs/doctor"), "/look", button="dark")
    assert dict(page.tags)["html"]["data-theme"] == "dark"
    assert "Doctor" in page.words


def test_it_works_under_the_prefix_of_a_proxy(app: Flask, job: int) -> None:
    ada = Visitor(app, {"REMOTE_USER": "ada", "SCRIPT_NAME": "/below"})
    page = ada.get(f"/jobs/{job}")
    assert [link for link in page.links if not link.startswith(("/below/", "#"))] == []
    assert page.form("/act").action == "/below/act"


def test_it_works_in_django_beside_its_middleware(
    instance: Instance, job: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, dashboard = django_host(instance, tmp_path, monkeypatch)
    client = Client(made)
    assert client.get("/jobs/").status_code == 403
    page = client.get(f"/jobs/jobs/{job}", headers={"X-User": "ada"})
    assert page.status_code == 200
    token = client.get_cookie("jobcron_csrf", path="/jobs/")
    assert token is not None
    data = {"jobcron_csrf": token.value, "act": "retry", "id": str(job), "confirmed": "yes", "from": "job"}
    headers = {"X-User": "ada", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/jobs/act", data=data, headers={**headers, "X-User": "ben"}).status_code == 403
    answer = client.post("/jobs/act", data=data, headers=headers)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"/jobs/jobs/{job}?act=")
    assert instance.row(job).status is JobStatus.WAITING
    strange = client.get("/jobs/jobs?type=č&queue=é", headers={"X-User": "ada"})
    assert (strange.status_code, "got: č" in strange.text) == (400, True)
    strange = client.get("/jobs/schedules/büro/č", headers={"X-User": "ada"})
    assert "expected the name of a schedule, got: büro/č" in strange.text
    close(dashboard)


def test_it_works_in_pyramid(instance: Instance, job: int) -> None:
    dashboard = application(
        str(instance.path), authorize=lambda environ: "operator" if environ.get("REMOTE_USER") == "ada" else None
    )
    with Configurator() as config:
        config.add_route("jobs", "/office/jobs/*subpath")
        config.add_view(wsgiapp2(dashboard), route_name="jobs")
        client = Client(config.make_wsgi_app())
    assert client.get("/office/jobs/", environ_overrides={"REMOTE_USER": "eve"}).status_code == 403
    ada = {"REMOTE_USER": "ada"}
    assert "/office/jobs/sections" in client.get("/office/jobs/", environ_overrides=ada).text
    page = client.get(f"/office/jobs/jobs/{job}", environ_overrides=ada)
    assert page.status_code == 200
    token = client.get_cookie("jobcron_csrf", path="/office/jobs/")
    assert token is not None
    data = {"jobcron_csrf": token.value, "act": "retry", "id": str(job), "confirmed": "yes", "from": "job"}
    headers = {"Sec-Fetch-Site": "same-origin"}
    answer = client.post("/office/jobs/act", data=data, headers=headers, environ_overrides=ada)
    assert f"/office/jobs/jobs/{job}?act=" in answer.headers["Location"]
    assert instance.row(job).status is JobStatus.WAITING
    close(dashboard)
