"""What holds for every page and every form of the dashboard, whichever there are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bench.page_paths import PATHS, paths
from flask import Flask
from werkzeug.test import create_environ

from instances import Instance
from jobcron.web.mounting import routes
from web_pages import Visitor
from web_paths import ANY, FORMS, LOOK, PAGES, every_form, every_page

GET = [route.name for route in routes() if route.method == "GET"]

BENCH = {"middle": 1, "last": 2, "graph": 3, "chained": 4, "schedule": "nightly", "report": "OOPS-1", "uuid": "u"}


def everything(instance: Instance) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of jobcron's tables, and of the application's."""
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'jobcron%'"
        if instance.database.dialect == "sqlite"
        else "SELECT tablename FROM pg_tables WHERE tablename LIKE 'jobcron%'"
    )
    tables = [str(name) for (name,) in instance.query(names)]
    assert len(tables) > 15
    return {table: sorted(instance.query(f"SELECT * FROM {table}"), key=str) for table in tables}


def token_of(visitor: Visitor) -> dict[str, str]:
    """Return the token of a visitor's browser, as a field of each form."""
    return {"jobcron_csrf": dict(visitor.get("/schedules").form("/look").fields)["jobcron_csrf"]}


def test_each_page_and_each_form_is_listed_and_its_address_leads_to_it(app: Flask) -> None:
    addresses = app.url_map.bind("localhost")
    for name, listed in PAGES.items():
        for path in listed:
            found, _ = addresses.match(path.format(**ANY).partition("?")[0], method="GET")
            assert found == f"jobcron.{name}", path
    for name, forms in FORMS.items():
        for form in forms:
            assert addresses.match(form.path.format(**ANY), method="POST")[0] == f"jobcron.{name}", form.path
    assert every_page(ANY)
    assert every_form(ANY)


def test_the_bench_asks_for_each_page(app: Flask) -> None:
    addresses = app.url_map.bind("localhost")
    asked = {addresses.match(path.partition("?")[0], method="GET")[0] for path in paths(GET, **BENCH)}
    assert asked == {f"jobcron.{name}" for name in GET}
    with pytest.raises(ValueError, match=r"none for \['new_page'\], and some for \[\]"):
        list(paths([*GET, "new_page"], **BENCH))
    assert PATHS.keys() == set(GET)


def test_who_is_not_let_in_gets_no_page_and_does_nothing(
    app: Flask, instance: Instance, full: dict[str, object]
) -> None:
    before = everything(instance)
    for user in ({}, {"REMOTE_USER": "eve"}):
        eve = Visitor(app, user)
        for path in every_page(full):
            page = eve.get(path, expect=403)
            remedy = "Log in to the application or proxy that it is part of."
            assert page.words == f"403 · jobcron You have no access to this dashboard. {remedy} 403, jobcron"
        for form in every_form(full):
            eve.post(form.path, form.values, expect=403)
    assert everything(instance) == before


def test_a_reader_looks_and_does_nothing_that_an_operator_can_do(
    ada: Visitor, ben: Visitor, instance: Instance, full: dict[str, object]
) -> None:
    for path in every_page(full):
        assert ben.look(path).status == ada.look(path).status != 403, path
    before, token = everything(instance), token_of(ben)
    for form in every_form(full, without=LOOK):
        page = ben.post(form.path, {**form.values, **token}, expect=403)
        assert "You may look, and not act." in page.words, form
    assert everything(instance) == before
    token = token_of(ada)
    for form in every_form(full, without=LOOK):
        before = everything(instance)
        ada.post(form.path, {**form.values, **token})
        assert everything(instance) != before, form


@pytest.mark.parametrize(
    ("audience", "has_token"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, False),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({}, False),
    ],
)
def test_no_form_that_another_site_can_send_does_anything(
    ada: Visitor, instance: Instance, full: dict[str, object], audience: dict[str, str], has_token: bool
) -> None:
    before = everything(instance)
    token = token_of(ada) if has_token else {}
    ada.audience = audience
    for form in every_form(full):
        page = ada.post(form.path, {**form.values, **token}, expect=403)
        assert "does not come from a page of the dashboard" in page.words, form
    assert everything(instance) == before


def test_no_get_changes_anything(ada: Visitor, instance: Instance, full: dict[str, object]) -> None:
    before, token, user = everything(instance), token_of(ada), {"REMOTE_USER": "ada"}
    for path in every_page(full):
        ada.client.get(path, environ_overrides=user)
    for form in every_form(full):
        fields = {**form.values, **token}
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = ada.client.open(form.path, method=method, query_string=fields, environ_overrides=user)
            # The path of what is done to schedules is that of the page of a schedule with this name, too.
            assert answer.status_code in ((200, 400, 405) if form.path == "/schedules/act" else (200, 405))
            assert answer.status_code != 200 or method == "OPTIONS"
    assert everything(instance) == before


def test_every_answer_tells_browsers_to_run_frame_and_keep_nothing(
    ada: Visitor, app: Flask, full: dict[str, object]
) -> None:
    answers = [ada.client.get(path, environ_overrides={"REMOTE_USER": "ada"}) for path in every_page(full)]
    answers += [ada.client.get(path) for path in (*every_page(full), "/jobs/7777", "/nowhere", "/static/none.css")]
    answers += [ada.client.post(form.path, environ_overrides={"REMOTE_USER": "ada"}) for form in every_form(full)]
    assert [answer for answer in answers if answer.headers.getlist("Set-Cookie")]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), answer.request.path
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        for cookie in answer.headers.getlist("Set-Cookie"):
            assert "SameSite=Strict" in cookie
            assert "HttpOnly" in cookie


def test_no_page_has_anything_inline_or_from_elsewhere(ada: Visitor, full: dict[str, object]) -> None:
    for path in every_page(full):
        for tag, attributes in ada.look(path).tags:
            assert tag != "style", path
            assert not {name for name in attributes if name == "style" or name.startswith("on")}, (path, tag)
            assert tag != "script" or attributes.get("src"), path
            for name in ("src", "href", "action"):
                address = attributes.get(name) or ""
                assert address.startswith(("/", "#")) or not address, (path, tag, address)


def test_each_form_of_each_page_is_one_of_the_list_and_has_the_token(
    ada: Visitor, ben: Visitor, full: dict[str, object]
) -> None:
    known = {form.path for form in every_form(full)}
    offered = set()
    for path in every_page(full):
        for form in ada.look(path).forms:
            if form.method == "post":
                assert form.action in known, path
                assert len(dict(form.fields)["jobcron_csrf"]) >= 32, path
                offered.add(form.action)
        for form in ben.look(path).forms:
            is_idle = form.action == "/act" and not form.buttons  # the list of jobs is one form
            assert form.method == "get" or form.action == "/look" or is_idle, path
    assert offered == known, "each form is on a page"


@pytest.mark.parametrize("prefix", ["", "/office"])
@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "//evil.example/..",
        "/\\evil.example",
        "/jobs//1",
        "/jobs/",
        "/static//etc/passwd",
        "/static/../mounting.py",
        "/static/../../../etc/passwd",
        "/reports/../../jobcron.conf",
        "/reports/OOPS-../../../jobcron.conf",
        "/jobs/-1",
        "/jobs/1;x",
        "/JOBS",
    ],
)
def test_no_trick_of_a_path_leads_elsewhere_or_to_a_file(app: Flask, path: str, prefix: str) -> None:
    said: dict[str, object] = {}
    environ = create_environ("/", environ_overrides={"REMOTE_USER": "ada"})
    environ |= {"PATH_INFO": path, "SCRIPT_NAME": prefix, "HTTP_HOST": "evil.example"}

    def start(status: str, headers: list[tuple[str, str]], *error: object) -> Callable[[bytes], object]:
        said.update(status=status, headers=dict(headers))
        return len

    body = b"".join(app.wsgi_app(environ, start))
    assert str(said["status"]).startswith("404")
    headers = said["headers"]
    assert isinstance(headers, dict)
    assert "Location" not in headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert b"evil.example" not in body
    assert b"root:" not in body
    assert b"import" not in body
