"""The README's code does what the README says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from jobcron.testing import run_script
from paths import JOBCRON, ROOT

README = (ROOT / "README.md").read_text()

MODEL = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Foo(Base):
    __tablename__ = "foo"
    id: Mapped[int] = mapped_column(primary_key=True)
    frozzled: Mapped[int] = mapped_column(default=0)

    def frozzle(self):
        self.frozzled += 1
"""

BEFORE = """
import jobcron
import myapp.jobs
from jobcron import load_settings
from myapp.model import Base, Foo

database = jobcron.Database(load_settings().database_url)
Base.metadata.create_all(database.engine)
session = database.session()
foo = Foo()
session.add(foo)
session.flush()
"""

TEST = """
import pytest
from jobcron import Database
from jobcron import load_settings
from jobcron.testing import database_session
from myapp.jobs import DoFooJob
from myapp.model import Foo


@pytest.fixture
def session():
    with database_session(Database(load_settings().database_url).engine) as session:
        yield session


@pytest.fixture
def foo(session):
    foo = Foo()
    session.add(foo)
    session.flush()
    return foo

"""


def block(mark: str) -> str:
    """Return the code block behind a mark."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no block marked {mark}"
    return found[1]


@pytest.fixture
def myapp(tmp_path: Path) -> Path:
    """Return a folder with the README's application and configuration."""
    (tmp_path / "myapp").mkdir()
    (tmp_path / "myapp" / "__init__.py").touch()
    (tmp_path / "myapp" / "model.py").write_text(MODEL)
    (tmp_path / "myapp" / "jobs.py").write_text(block("file: myapp/jobs.py"))
    (tmp_path / "instance").mkdir()
    configuration = block("file: instance/jobcron.conf").replace("/var/lib/myapp", str(tmp_path / "var"))
    (tmp_path / "instance" / "jobcron.conf").write_text(configuration)
    (tmp_path / "var").mkdir()
    return tmp_path


def test_the_first_job_runs_as_the_readme_says(myapp: Path) -> None:
    environment = {"JOBCRON_CONFIG": str(myapp / "instance"), "PYTHONPATH": str(myapp)}
    run_script(JOBCRON, ["upgrade"], extra_env=environment)
    (myapp / "create.py").write_text(BEFORE + block("run: create"))
    python = shutil.which("python", path=str(JOBCRON.parent))
    assert python
    run_script(python, [str(myapp / "create.py")], extra_env=environment)
    _, out, err = run_script(JOBCRON, ["run", "do_foo"], extra_env=environment)
    assert out == ""
    assert "INFO    Ran 1 DoFooJob jobs.\n" in err


def test_the_readmes_test_passes(myapp: Path) -> None:
    environment = {"JOBCRON_CONFIG": str(myapp / "instance"), "PYTHONPATH": str(myapp)}
    run_script(JOBCRON, ["upgrade"], extra_env=environment)
    (myapp / "create.py").write_text(BEFORE)
    (myapp / "test_foo.py").write_text(TEST + block("run: test"))
    python = str(JOBCRON.parent / "python")
    run_script(python, [str(myapp / "create.py")], extra_env=environment)
    _, out, _ = run_script(
        python, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_foo.py"], extra_env=environment, cwd=myapp
    )
    assert "1 passed" in out


def test_every_file_that_the_readme_names_is_there() -> None:
    names = re.findall(r"`([\w./*-]+/[\w.*-]+|\w+\.(?:cfg|md))`", README)
    assert names
    for name in names:
        if not name.startswith(("myapp/", "var/")):
            assert list(ROOT.glob(name.rstrip("/"))), f"the README names {name}, which is not there"
