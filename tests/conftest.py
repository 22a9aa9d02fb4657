"""Fixtures: each test that needs a database runs on SQLite and on a private PostgreSQL."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection
from sqlalchemy.orm import Session

import erringapp
import fooapp
import guestapp
import health_checks
import steps_jobs
from compiled_statements import compile_once
from failed_at_once import show_failures_at_once
from folders_in_memory import keep_folders_in_memory
from fooapp import Foo
from fork_server import OWN_SETTINGS
from forked_children import fork_isolated_children
from guestapp import Customer
from instances import FUNCTIONS, Instance, fork_server
from jobcron import Database
from jobcron.commands._grant import Grants
from jobcron.database.roles import OWN_FILE, read_roles
from jobcron.database.upgrade import upgrade_schema
from jobcron.testing import database_session
from jobcron.testing.server import PrivatePostgreSQL
from long_first import put_long_tests_first
from metrics_files import Metrics
from paths import APPS
from proving import IS_CHAOS, Proof
from runner_processes import Gate


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings out of the tests."""
    for name in (*OWN_SETTINGS, "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def same_log() -> Iterator[None]:
    """Put the log of the process back: a script that a test runs here may have set it up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


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
    """Return the URL of a fresh database with all tables: of both kinds, one after the other.

    The kind "psycopg" is PostgreSQL over psycopg 3; JOBCRON_TEST_DRIVER=psycopg makes every PostgreSQL so.
    """
    if request.param == "sqlite":
        return str(request.getfixturevalue("jobcron_sqlite"))
    url = str(request.getfixturevalue("jobcron_postgresql"))
    if request.param == "psycopg" or os.environ.get("JOBCRON_TEST_DRIVER") == "psycopg":
        return url.replace("postgresql+psycopg2:", "postgresql+psycopg:")
    return url


@pytest.fixture
def instance(tmp_path: Path, database_url: str) -> Iterator[Instance]:
    """Return an instance with a database of its own, SQLite and PostgreSQL."""
    instance = Instance(tmp_path / "instance", database_url)
    yield instance
    instance.database.close()


@pytest.fixture
def stranger(instance: Instance) -> Iterator[str]:
    """Return a role of PostgreSQL's that may log in, and has no rights."""
    name = "stranger_to_all"
    instance.query(f"CREATE ROLE {name} LOGIN")
    yield name
    instance.query(f"DROP OWNED BY {name}")
    instance.query(f"DROP ROLE {name}")


@pytest.fixture(params=["LATIN1", "SQL_ASCII", "EUC_JP"])
def narrow(
    request: pytest.FixtureRequest, server: PrivatePostgreSQL, jobcron_tables: Any, tmp_path: Path
) -> Iterator[Instance]:
    """Return an instance whose database cannot hold every text."""
    name = f"narrow_{request.param.lower()}"
    with closing(psycopg2.connect(server.url().replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        connection.cursor().execute(
            f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    instance = Instance(tmp_path / "narrow", server.url(name))
    with instance.database.begin() as connection:
        upgrade_schema(connection, instance.url)
        jobcron_tables(connection)
    yield instance
    instance.database.close()
    server.drop_database(name)


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
        instance.run(section)
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
    """Print the names of tests that fail as they fail; spare the tests the disk, compiling, and imports."""
    show_failures_at_once(config)
    keep_folders_in_memory(config)
    compile_once()
    gc.disable()  # what is collected stays: see below
    if not IS_CHAOS:
        fork_isolated_children(fork_server)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let tests that are marked so run over both drivers of PostgreSQL."""
    if "database_url" not in metafunc.fixturenames or not metafunc.definition.get_closest_marker("both_drivers"):
        return
    if not any("database_url" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")):
        kinds = ["sqlite", "postgresql", "psycopg"]
        metafunc.definition.add_marker(pytest.mark.parametrize("database_url", kinds, indirect=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long tests begin first."""
    put_long_tests_first(items)


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of all later searches for garbage: it stays."""
    gc.freeze()
    gc.enable()
