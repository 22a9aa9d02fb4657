"""Fixtures: the desk with a database of its own, on SQLite and, where its programs are found, on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from flaskapp import create_app, worker
from flaskapp.models import Customer, Order, OrderLine, db
from jobcron import share_session
from jobcron.testing.programs import ServerNotFound

INSTANCE = Path(__file__).parents[1] / "instance"


@pytest.fixture(scope="session")
def jobcron_config() -> Path:
    """Return the instance that those of the tests extend."""
    return INSTANCE


@pytest.fixture(scope="session")
def jobcron_tables() -> Any:
    """Return what makes the desk's own tables."""
    return db.metadata.create_all


@pytest.fixture(params=["sqlite", "postgresql"])
def jobcron_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh database, of both kinds one after the other."""
    try:
        return str(request.getfixturevalue(f"jobcron_{request.param}"))
    except ServerNotFound as error:
        if os.environ.get("CI"):
            raise  # there it has to be
        pytest.skip(str(error))


@pytest.fixture
def app(jobcron_instance: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """Return the application, with all tables; jobs that run in this process have it too."""
    app = create_app()
    monkeypatch.setattr(worker, "application", lambda: app)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client of the application: its requests commit, each in an application context of its own."""
    return app.test_client()


@pytest.fixture
def session(app: Flask, job_session: Session) -> Iterator[Session]:
    """Return a session whose work is undone, as `db.session` as well; jobs run in the same transaction.

    Not for tests with requests: these have a context of their own, and so another ``db.session``.
    """
    with app.app_context(), share_session(db.session):
        yield job_session


@pytest.fixture
def order(session: Session) -> Order:
    """Return an order of two lamps."""
    order = Order(
        customer=Customer(name="Ada", email="ada@example.com"),
        lines=[OrderLine(article="Lamp", quantity=2, price=1950)],
    )
    session.add(order)
    session.flush()
    return order
