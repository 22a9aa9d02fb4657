"""The path of the dashboard may have any characters: browsers find their way, and keep the token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from flask_wtf import CSRFProtect
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

import fooapp
from instances import Instance
from jobcron import ConfigurationError, JobStatus
from jobcron.web import Visitor as Somebody
from jobcron.web import application, blueprint
from jobcron.web.mounting import close
from web_pages import Page

PREFIXES = (
    "/jobs",
    "/a&b/c",
    "/it's",
    "/a;b=1",
    "/büro/č",
    "/a b",
    "/100%",
    "/a%20b",
    '/a"b',
    "/a?b",
    "/a#b",
    "/a+,:@b",
)


def somebody(environ: object) -> Somebody:
    """Let everybody act."""
    return Somebody("operator", "ada")


@pytest.fixture(params=["blueprint", "application"])
def hosted(request: pytest.FixtureRequest, instance: Instance, prefix: str) -> Iterator[Client]:
    """Return a client, without cookies of its own, of a host that has the dashboard at a path."""
    fooapp.register()
    host = made = Flask("shop")
    host.secret_key = "k" * 32
    if request.param == "blueprint":
        CSRFProtect(host)
        host.register_blueprint(blueprint(str(instance.path), authorize=somebody), url_prefix=prefix)
    else:
        made = application(str(instance.path), authorize=somebody)
        mounts: dict[str, Any] = {prefix.encode().decode("latin-1"): made}
        host.wsgi_app = DispatcherMiddleware(host.wsgi_app, mounts)  # type: ignore[method-assign]
    yield Client(host, use_cookies=False)
    close(made)


def parsed(answer: TestResponse) -> Page:
    """Return a page that was answered."""
    assert answer.status_code == 200, answer.text
    return Page(answer.status_code, answer.text, dict(answer.headers))


def path_of(cookie: str) -> str:
    """Return the path of a cookie as a browser has it: what it sends the cookie to begins so."""
    found = re.search("Path=([^;]+)", cookie)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_browser_finds_its_way_and_keeps_the_token_below_any_path(
    hosted: Client, instance: Instance, prefix: str
) -> None:
    job = instance.act()
    answer = hosted.get(f"{quote(prefix)}/jobs/{job}")
    page, cookies = parsed(answer), answer.headers.getlist("Set-Cookie")
    root = next(path_of(cookie) for cookie in cookies if cookie.startswith("jobcron_csrf="))
    sent = {"Cookie": "; ".join(cookie.partition(";")[0] for cookie in cookies), "Sec-Fetch-Site": "same-origin"}
    addresses = [form.action for form in page.forms] + [link for link in page.links if not link.startswith("#")]
    addresses += [str(found["src"]) for tag, found in page.tags if tag in ("script", "img")]
    assert len(addresses) > 20
    for address in addresses:
        assert address.startswith(root), "no cookie is sent there"
        assert re.fullmatch(r"[\x21-\x7e]+", address)
    for address in addresses[-4:]:
        assert hosted.get(address).status_code == 200, address
    # What a person does: an act, and colours that lead back.
    form = page.form("/act", "suspend")
    asked = parsed(hosted.post(form.action, data={**dict(form.fields), "act": "suspend"}, headers=sent))
    form = asked.form("/act")
    done = hosted.post(form.action, data=dict(form.fields), headers=sent)
    assert done.status_code == 303
    assert urlsplit(done.headers["Location"]).path == f"{root}jobs/{job}"
    assert instance.row(job).status is JobStatus.SUSPENDED
    form = page.form("/look")
    dark = hosted.post(form.action, data={**dict(form.fields), "theme": "dark"}, headers=sent)
    assert dark.headers["Location"] == f"{root}jobs/{job}"
    theme = next(cookie for cookie in dark.headers.getlist("Set-Cookie") if cookie.startswith("jobcron_theme="))
    assert path_of(theme) == root


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_path_with_variables_is_refused_when_it_is_mounted(instance: Instance) -> None:
    made = blueprint(str(instance.path), authorize=somebody)
    with pytest.raises(ConfigurationError, match="expected an url_prefix without variables, got: '/<shop>/jobs'"):
        Flask("shop").register_blueprint(made, url_prefix="/<shop>/jobs")
