"""Pytest fixtures for tests of jobs (LP-30): databases with all tables, an instance, a session.

Pytest loads this module wherever jobcron is installed, so it imports nothing slow before a fixture is used.
``-p no:jobcron`` disables it.
"""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from jobcron.testing.server import PrivatePostgreSQL

    MakeTables = Callable[[Connection], object]

_MARKER = "jobcron_config"

_KEPT_APART = {
    "state_dir": "state",
    "lock_dir": "none",
    "error_dir": "none",
    "oops_publishers": "files",
    "mail": "file:mail",
    "cron_control": "none",
    "metrics_dir": "none",
    "metrics_hook": "none",
}
"""What a test's instance does not inherit from the one that it extends, to stay unnoticed outside."""

_numbers = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the option of the ini file."""
    parser.addini(
        "jobcron_config",
        "the directory of a jobcron.conf that the instances of tests extend, from the ini file's folder",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(text): keys of [jobcron], then sections, for the test's instance of jobcron"
    )


@pytest.fixture(scope="session")
def jobcron_tables() -> MakeTables:
    """Return a function that creates the application's tables; override it to return ``metadata.create_all``."""
    return lambda connection: None


@pytest.fixture(scope="session")
def jobcron_config(pytestconfig: pytest.Config) -> Path | None:
    """Return the directory of the jobcron.conf that test instances extend, or None; projects may override it."""
    text = str(pytestconfig.getini("jobcron_config")).strip()
    if not text:
        return None
    folder = pytestconfig.inipath.parent if pytestconfig.inipath else pytestconfig.rootpath
    return folder / text


@pytest.fixture(scope="session")
def jobcron_server() -> Iterator[PrivatePostgreSQL]:
    """Return a PostgreSQL server for the test session."""
    from jobcron.testing.server import PrivatePostgreSQL

    with PrivatePostgreSQL(in_memory=True) as server:
        yield server


@pytest.fixture(scope="session")
def jobcron_templates() -> dict[tuple[str, MakeTables], str]:
    """Return the template databases, by database kind and by the function that created the application's tables.

    They are kept by function because folders of tests may override `jobcron_tables` differently.
    """
    return {}


@pytest.fixture
def jobcron_sqlite(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    jobcron_tables: MakeTables,
    jobcron_templates: dict[tuple[str, MakeTables], str],
) -> str:
    """Return the URL of a fresh SQLite database with all tables."""
    template = jobcron_templates.get(("sqlite", jobcron_tables))
    if template is None:
        template = str(tmp_path_factory.mktemp("jobcron") / "template.db")
        _make_tables(f"sqlite:///{template}", jobcron_tables)
        jobcron_templates["sqlite", jobcron_tables] = template
    path = tmp_path / "jobcron.db"
    shutil.copy(template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def jobcron_postgresql(
    jobcron_server: PrivatePostgreSQL,
    jobcron_tables: MakeTables,
    jobcron_templates: dict[tuple[str, MakeTables], str],
) -> Iterator[str]:
    """Return the URL of a fresh PostgreSQL database with all tables; it is dropped after the test."""
    template = jobcron_templates.get(("postgresql", jobcron_tables))
    if template is None:
        template = f"jobcron_template_{next(_numbers)}"
        jobcron_server.create_database(template)
        _make_tables(jobcron_server.url(template), jobcron_tables)
        jobcron_templates["postgresql", jobcron_tables] = template
    name = f"jobcron_test_{next(_numbers)}"
    jobcron_server.create_database(name, template=template)
    yield jobcron_server.url(name)
    jobcron_server.drop_database(name)


@pytest.fixture
def jobcron_url(jobcron_sqlite: str) -> str:
    """Return the URL of the test's database, by default the one in SQLite; projects may override it."""
    return jobcron_sqlite


@pytest.fixture
def jobcron_instance(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    jobcron_url: str,
    jobcron_config: Path | None,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Return the directory of the test's own instance, to which JOBCRON_CONFIG is set.

    It extends `jobcron_config`; the marker ``jobcron_config`` adds keys and sections.
    """
    folder = Path(os.path.realpath(tmp_path)) / "jobcron"
    folder.mkdir()
    # The closest marker comes last.
    marked = [str(marker.args[0]) for marker in reversed(list(request.node.iter_markers(_MARKER)))]
    (folder / "jobcron.conf").write_text(_configuration(folder, jobcron_url, jobcron_config, marked))
    monkeypatch.setenv("JOBCRON_CONFIG", str(folder))
    monkeypatch.delenv("JOBCRON_DATABASE_URL", raising=False)
    return folder


def _configuration(folder: Path, url: str, extended: Path | None, marked: list[str]) -> str:
    """Return the configuration of a test.

    Args:
        folder: the directory for it.
        url: the URL of the database.
        extended: the directory or file of the configuration to extend, or None.
        marked: keys of [jobcron] and sections, from the markers.
    """
    keys, sections = "", ""
    for text in map(textwrap.dedent, marked):
        head, *rest = re.split(r"(?m)^(?=\[)", text.lstrip("\n"), maxsplit=1)
        keys += f"{head.rstrip()}\n"
        sections += "".join(rest)
    lines = []
    if extended is not None:
        file = extended if extended.is_file() else extended / "jobcron.conf"
        lines += ["[meta]", f"extends: {os.path.relpath(os.path.realpath(file), folder)}"]
    own = {"database_url": url, **_KEPT_APART}
    said = set(re.findall(r"(?m)^(\w+)\s*[:=]", keys))
    lines += ["[jobcron]", *(f"{key}: {value}" for key, value in own.items() if key not in said)]
    return "\n".join(lines) + f"\n{keys}\n{sections}\n"


@pytest.fixture
def job_session(jobcron_url: str, jobcron_instance: Path) -> Iterator[Session]:
    """Return a session that is the ambient one, in a transaction that is never committed."""
    from jobcron import Database
    from jobcron.testing import database_session

    database = Database(jobcron_url)
    with database_session(database.engine) as session:
        yield session
    database.close()


def _make_tables(url: str, make_own_tables: MakeTables) -> None:
    from jobcron import Database
    from jobcron.database.upgrade import upgrade_schema

    database = Database(url)
    with database.begin() as connection:
        upgrade_schema(connection, url)
        make_own_tables(connection)
    database.close()
