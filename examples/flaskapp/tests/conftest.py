"""Fixtures: the desk with a database of its own, on SQLite and, where its programs are found, on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from flaskapp import create_app, worker
from flaskapp.models import Customer, Order, OrderLine, db
from jobcron import Database, JobCronScript, load_settings, share_session
from jobcron.operate import main
from jobcron.testing import BufferLogger, database_session
from jobcron.testing.programs import ServerNotFound
from jobcron.testing.server import PrivatePostgreSQL

INSTANCE = Path(__file__).parents[1] / "instance"

CONFIGURATION = """
[meta]
extends: {extended}

[jobcron]
database_url: {url}
state_dir: state
mail: file:mail
"""

_numbers = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[PrivatePostgreSQL]:
    """Return a PostgreSQL server for these tests alone."""
    try:
        server = PrivatePostgreSQL()
    except ServerNotFound as error:
        if os.environ.get("CI"):
            raise  # there it has to be
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'orders.db'}"
    server: PrivatePostgreSQL = request.getfixturevalue("server")
    name = f"orders_{next(_numbers)}"
    server.create_database(name)
    return server.url(name)


@pytest.fixture
def app(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """Return the application, with all tables; jobs that run in this process have it too."""
    extended = os.path.relpath(INSTANCE / "jobcron.conf", tmp_path)
    (tmp_path / "jobcron.conf").write_text(CONFIGURATION.format(extended=extended, url=url))
    monkeypatch.setenv("JOBCRON_CONFIG", str(tmp_path))
    monkeypatch.delenv("JOBCRON_DATABASE_URL", raising=False)
    assert main(["upgrade"]) == 0
    app = create_app()
    monkeypatch.setattr(worker, "application", lambda: app)
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client of the application: its requests commit, each in an application context of its own."""
    return app.test_client()


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """Return a session whose work is undone, as `db.session` as well; jobs run in the same transaction.

    Not for tests with requests: these have a context of their own, and so another ``db.session``.
    """
    database = Database(load_settings().database_url)
    with database_session(database.engine) as session, app.app_context(), share_session(db.session):
        yield session
    database.close()


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


def run_section(name: str) -> str:
    """Run a section in this process, as cron does, and return the log.

    Where the `session` fixture is used, all of it is in that session's transaction.
    """
    logger = BufferLogger()
    JobCronScript(test_args=[name], commandline_config=True, logger=logger).main()
    return logger.getLogBuffer()
