"""The fixtures that pytest has where jobcron is installed, in a small project of somebody else's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from paths import APPS

CONFTEST = """
import pytest
import fooapp

@pytest.fixture(scope="session")
def jobcron_tables():
    return fooapp.Base.metadata.create_all

@pytest.fixture(params=["jobcron_sqlite", "jobcron_postgresql"])
def jobcron_url(request):
    return request.getfixturevalue(request.param)
"""

INI = f"""
[pytest]
addopts = --strict-markers --strict-config
pythonpath = {APPS}
jobcron_config = instance
"""

INSTANCE = """
[jobcron]
database_url: postgresql://nobody@nowhere/production
application: fooapp:register
state_dir: /nowhere/state
lock_dir: /nowhere/locks
error_dir: /nowhere/oops
oops_publishers: nowhere:publish
oops_prefix: PROJECT
mail: smtp://nowhere
cron_control: /nowhere/control
metrics_dir: /nowhere/metrics
metrics_hook: nowhere:hook

[do_foo]
source_interface: fooapp.IDoFooJobSource

[act]
source_interface: fooapp.ActJob
"""

Project = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return what runs pytest over the text of a test file in a project, and returns what it printed."""
    folder = tmp_path / "project"
    (folder / "instance").mkdir(parents=True)
    files = {"pytest.ini": INI, "conftest.py": CONFTEST, "instance/jobcron.conf": INSTANCE}
    for name, text in files.items():
        (folder / name).write_text(text)

    def run(text: str, *options: str, status: int = 0, **others: str) -> str:
        for name, content in {"test_it.py": text, **others}.items():
            (folder / name.replace("__", ".")).write_text(content)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    return run


JOBS = """
import fooapp
import pytest
from jobcron.testing import (
    assert_completed, assert_failed, assert_waiting, outbox, run_waiting, waiting_jobs
)


@pytest.fixture
def foo(job_session):
    foo = fooapp.Foo()
    job_session.add(foo)
    job_session.flush()
    return foo


def test_a_job_that_completes(foo):
    fooapp.DoFooJob.create(foo)
    (job,) = assert_waiting(fooapp.DoFooJob, foo)
    assert "Ran 1 DoFooJob jobs." in run_waiting(fooapp.DoFooJob)
    assert_completed(job)
    assert foo.frozzled == 1
    assert waiting_jobs(fooapp.DoFooJob) == []


def test_a_job_that_fails(foo):
    data = {"do": [["raise", "user"]], "tell": ["me@example.com"]}
    job = fooapp.ActJob.create(foo, metadata=data)
    run_waiting("act")
    assert_failed(job, "the foo is not yours")
    assert outbox()[0]["To"] == "me@example.com"


def test_nothing_of_them_is_left(job_session):
    assert job_session.query(fooapp.Foo).count() == 0
"""


@pytest.mark.feature("LP-30")
def test_jobs_are_made_and_run_in_a_session_that_is_never_committed(project: Project) -> None:
    assert "6 passed" in project(JOBS)


@pytest.mark.feature("LP-30")
def test_each_test_has_a_database_and_an_instance_of_its_own(project: Project) -> None:
    text = """
import pytest
from sqlalchemy.engine import make_url

import fooapp
from jobcron import Database, load_settings
from jobcron.testing import assert_waiting, run_waiting, waiting_jobs


@pytest.mark.parametrize("turn", [1, 2])
def test_committed(jobcron_instance, jobcron_url, turn):
    settings = load_settings()
    assert settings.path == str(jobcron_instance / "jobcron.conf")
    assert make_url(settings.database_url) == make_url(jobcron_url)
    database = Database(jobcron_url)
    with database.session() as session:
        foo = fooapp.Foo()
        session.add(foo)
        fooapp.DoFooJob.create(foo, session=session)
        session.commit()
        assert_waiting(fooapp.DoFooJob, session=session)
        session.commit()
        assert "Ran 1 DoFooJob jobs." in run_waiting(fooapp.DoFooJob)
        assert waiting_jobs(fooapp.DoFooJob, session=session) == []
    database.close()
"""
    assert "4 passed" in project(text)


@pytest.mark.feature("LP-30")
def test_a_tests_instance_is_not_heard_outside(project: Project) -> None:
    text = """
from jobcron import load_settings


def test_settings(jobcron_instance):
    settings = load_settings()
    here = str(jobcron_instance)
    assert settings.oops_prefix == "PROJECT"
    assert list(settings.sections) == ["act", "do_foo"]
    assert settings.state_dir == f"{here}/state"
    assert settings.lock_dir == f"{here}/state/locks"
    assert settings.error_dir == f"{here}/state/oops"
    assert settings.mail == f"file:{here}/mail"
    assert settings.oops_publishers == ["files"]
    assert settings.cron_control is settings.metrics_dir is settings.metrics_hook is None
"""
    assert "2 passed" in project(text)


@pytest.mark.feature("LP-30")
def test_a_marker_has_more_keys_and_sections(project: Project) -> None:
    text = '''
import pytest

from jobcron import load_settings

pytestmark = pytest.mark.jobcron_config("""
    crash_limit: 7
    mail: none

    [more]
    source_interface: fooapp.TellingJob
""")


@pytest.mark.jobcron_config("[most]\\nsource_interface: fooapp.OwnReadyJob\\n")
def test_settings(jobcron_instance):
    settings = load_settings()
    assert (settings.crash_limit, settings.mail) == (7, None)
    assert list(settings.sections) == ["act", "do_foo", "more", "most"]
    assert settings.sections["most"].source_interface == "fooapp.OwnReadyJob"
'''
    assert "2 passed" in project(text)


@pytest.mark.feature("LP-30")
def test_without_an_ini_file_there_is_only_what_the_marker_says(project: Project) -> None:
    text = """
import pytest

from jobcron import load_settings


@pytest.mark.jobcron_config("[one]\\nsource_interface: a.B")
def test_settings(jobcron_instance, jobcron_url):
    assert jobcron_url.startswith("sqlite:")
    assert list(load_settings().sections) == ["one"]
"""
    assert "1 passed" in project(text, pytest__ini="[pytest]\n", conftest__py="")


@pytest.mark.feature("LP-30")
def test_a_mistake_in_the_configuration_of_a_test_is_said(project: Project) -> None:
    text = """
import pytest
from jobcron import load_settings


@pytest.mark.jobcron_config("nonsense: 1")
def test_settings(jobcron_instance):
    load_settings()
"""
    out = project(text, status=1)
    assert "unknown key nonsense; expected one of:" in out


@pytest.mark.feature("LP-30")
def test_folders_may_each_have_tables_of_their_own(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "project" / "other"
    other.mkdir()
    (other / "conftest.py").write_text(
        "import pytest\nfrom sqlalchemy import text\n\n\n@pytest.fixture(scope='session')\ndef jobcron_tables():\n"
        "    return lambda connection: connection.execute(text('CREATE TABLE other (id integer)'))\n"
    )
    test = """
from sqlalchemy import create_engine, inspect


def test_tables(jobcron_url):
    tables = set(inspect(create_engine(jobcron_url)).get_table_names())
    assert ("{here}" in tables, "{there}" in tables, "jobcron_job" in tables) == (True, False, True)
"""
    (other / "test_other.py").write_text(test.format(here="other", there="foo"))
    assert "4 passed" in project(test.format(here="foo", there="other"))


@pytest.mark.feature("LP-30")
def test_who_does_not_use_the_fixtures_pays_nothing(project: Project) -> None:
    text = """
import sys


def test_modules():
    assert "jobcron.testing.plugin" in sys.modules
    dear = ("sqlalchemy", "psycopg2", "zope", "alembic", "lazr", "jobcron.testing.server")
    assert [name for name in dear if name in sys.modules] == []
"""
    assert "1 passed" in project(text, conftest__py="")
    assert "1 failed" in project(text, "-p", "no:jobcron", status=1, conftest__py="", pytest__ini="[pytest]\n")


WITHOUT_EXTRAS = """
import importlib, pkgutil, sys

extras = ("prometheus_client hypothesis aiosmtpd oops_datedir_repo lazr.enum transaction zope.sqlalchemy "
          "time_machine mypy flask flask_sqlalchemy pytest_timeout xdist").split()
for name in extras:
    sys.modules[name] = None
import jobcron.testing
found = [module.name for module in pkgutil.iter_modules(jobcron.testing.__path__)]
for name in found:
    importlib.import_module(f"jobcron.testing.{name}")
for name in jobcron.testing.__all__:
    getattr(jobcron.testing, name)
print(sorted(found))
"""


@pytest.mark.feature("LP-30")
def test_what_tests_need_needs_no_more_than_jobcron_and_pytest() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "'assertions'" in done.stdout
    assert "'plugin'" in done.stdout
