"""Fixtures: each test that needs a database runs on SQLite and on a private PostgreSQL."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.orm import Session

import erringapp
import fooapp
import guestapp
import health_checks
import steps_jobs
from failed_at_once import show_failures_at_once
from fooapp import Foo
from guestapp import Customer
from instances import FUNCTIONS, Instance
from jobcron import Database
from jobcron.commands._grant import Grants
from jobcron.database.roles import OWN_FILE, read_roles
from jobcron.testing import database_session
from jobcron.testing.server import PrivatePostgreSQL
from metrics_files import Metrics
from paths import APPS
from proving import Proof
from runner_processes import Gate


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings out of the tests."""
    for name in ("JOBCRON_CONFIG", "JOBCRON_DATABASE_URL", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def jobcron_tables() -> Any:
    """Return what makes the application's tables, and on PostgreSQL its roles."""

    def make(connection: Connection) -> None:
        fooapp.Base.metadata.create_all(connection)
        if connection.dialect.name == "postgresql":
            for statement in Grants(connection, read_roles([OWN_FILE, str(APPS / "security.cfg")])).statements():
                connection.exec_driver_sql(statement)

    return make


@pytest.fixture(scope="session")
def server(jobcron_server: PrivatePostgreSQL) -> PrivatePostgreSQL:
    """Return a PostgreSQL server of the test session's own."""
    return jobcron_server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh database with all tables: of both kinds, one after the other."""
    return str(request.getfixturevalue(f"jobcron_{request.param}"))


@pytest.fixture
def instance(tmp_path: Path, database_url: str) -> Iterator[Instance]:
    """Return an instance with a database of its own, SQLite and PostgreSQL."""
    instance = Instance(tmp_path / "instance", database_url)
    yield instance
    instance.database.close()


@pytest.fixture
def calling(instance: Instance) -> Instance:
    """Return an instance that runs the functions of `functionapp`."""
    instance.configure(sections=FUNCTIONS)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "functionapp"))
    return instance


@pytest.fixture
def steps(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance with sections of jobs of several tasks."""
    instance.configure(sections=steps_jobs.SECTIONS)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "stepsapp:register"))
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    return instance


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """Return a session in a transaction that is never committed, and ambient."""
    database = Database(database_url)
    with database_session(database.engine) as session:
        yield session
    database.close()


@pytest.fixture
def proof(tmp_path: Path, database_url: str) -> Iterator[Proof]:
    """Return what a proof works with, on SQLite and on PostgreSQL."""
    proof = Proof(tmp_path, database_url)
    yield proof
    proof.database.close()


@pytest.fixture
def guest(instance: Instance) -> Instance:
    """Return an instance for the application."""
    with instance.database.begin() as connection:
        guestapp.Base.metadata.create_all(connection)
    instance.configure(sections=guestapp.SECTIONS)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "guestapp"))
    return instance


@pytest.fixture
def guest_session(database_url: str) -> Iterator[Session]:
    """Return a session whose work is undone, with the application's tables."""
    database = Database(database_url)
    guestapp.Base.metadata.create_all(database.engine)
    with database_session(database.engine) as session:
        yield session
    database.close()


@pytest.fixture
def customer(guest_session: Session) -> Customer:
    """Return a customer that is in the database."""
    customer = Customer()
    guest_session.add(customer)
    guest_session.flush()
    return customer


@pytest.fixture
def foo(session: Session) -> Foo:
    """Return a foo that nobody has committed."""
    foo = Foo(name="foo")
    session.add(foo)
    session.flush()
    return foo


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Return a gate for one job."""
    return Gate(tmp_path)


@pytest.fixture
def metrics(instance: Instance, tmp_path: Path) -> Metrics:
    """Return an instance that writes metrics."""
    folder = tmp_path / "textfile"
    folder.mkdir()
    return Metrics(instance, folder)


@pytest.fixture
def watched(instance: Instance) -> Instance:
    """Return an instance whose two sections have run."""
    instance.configure(sections=health_checks.SECTIONS.format(act=""))
    for section in ("act", "do_foo"):
        instance.command("run", section)
    return instance


@pytest.fixture
def erring(instance: Instance) -> Instance:
    """Return an instance with the jobs of `erringapp`."""
    instance.configure(sections=erringapp.SECTIONS)
    return instance


@pytest.fixture
def quiet(instance: Instance) -> Instance:
    """Return an instance whose sections have run a moment ago and have nothing to do."""
    instance.state.mkdir(mode=0o700)  # so that the settings are compiled at once
    for section in ("do_foo", "act"):
        instance.run(section)
    assert len(instance.query("SELECT name FROM jobcron_run")) == 2
    instance.database.close()
    return instance


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Print the names of tests that fail as they fail."""
    show_failures_at_once(config)


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of all later searches for garbage: it stays."""
    gc.freeze()
