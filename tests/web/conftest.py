"""Fixtures of the tests of the dashboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from selenium.webdriver import Chrome

import fooapp
from browsers import chromium
from instances import Instance
from jobcron.web import application
from jobcron.web.mounting import close
from web_pages import Visitor

OPERATOR = {"REMOTE_USER": "ada"}
READER = {"REMOTE_USER": "ben"}


def role_of(environ: dict[str, object]) -> str | None:
    """Let ada act, ben look, and nobody else in."""
    return {"ada": "operator", "ben": "reader"}.get(str(environ.get("REMOTE_USER")))


@pytest.fixture
def app(instance: Instance) -> Iterator[Flask]:
    """Return the dashboard of an instance."""
    fooapp.register()
    made = application(str(instance.path), authorize=role_of)
    yield made
    close(made)


@pytest.fixture
def ada(app: Flask) -> Visitor:
    """Return an operator."""
    return Visitor(app, OPERATOR)


@pytest.fixture
def ben(app: Flask) -> Visitor:
    """Return a reader."""
    return Visitor(app, READER)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Return a browser, one for all tests of a process."""
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found
