"""A user's job classes under mypy strict and pyright strict, with no plugin and no configuration of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """\
from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from jobcron import BaseRunnableJob, FamilyRow, Job, JobCronScript, JobStatus, JobType, job_type_column


class Base(DeclarativeBase):
    pass


class Foo(Base):
    __tablename__ = "foo"
    id: Mapped[int] = mapped_column(primary_key=True)
    frozzled: Mapped[int] = mapped_column(default=0)


class FooJobType(JobType):
    DO_FOO = 0, "Do foo"
    LETTER = 1


class FooJob(FamilyRow, Base):
    __tablename__ = "foo_job"
    job_type: Mapped[FooJobType] = job_type_column(FooJobType)
    foo_id: Mapped[int] = mapped_column(ForeignKey("foo.id"))
    foo: Mapped[Foo] = relationship()


class DoFooJob(BaseRunnableJob[FooJob]):
    class_job_type = FooJobType.DO_FOO
    max_retries = 5
    retry_error_types = (OSError,)
    retry_delay = timedelta(minutes=1)

    def run(self) -> None:
        assert_type(self.context, FooJob)
        assert_type(self.context.foo, Foo)
        assert_type(self.job, Job)
        assert_type(self.session, Session)
        assert_type(self.status, JobStatus)
        self.context.foo.frozzled += 1
        self.progress = 40
        self.checkpoint()

    def getOopsVars(self) -> list[tuple[str, object]]:
        return [*super().getOopsVars(), ("foo_id", self.context.foo.id)]


class LetterJob(BaseRunnableJob):
    class_job_type = FooJobType.LETTER
    target: Foo
    template: str
    copies: int = 1

    def run(self) -> None:
        assert_type(self.context, Job)
        assert_type(self.target, Foo)
        assert_type(self.template, str)
        self.target.frozzled += self.copies


class Script(JobCronScript):
    config_name = "do_foo"
    source_interface = DoFooJob

    def main(self) -> int | None:
        return super().main()


def request(session: Session, foo: Foo) -> None:
    assert_type(DoFooJob.create(foo), DoFooJob)
    assert_type(LetterJob.acquire(foo, template="hello", session=session), LetterJob)
    for job in DoFooJob.iterReady(session=session):
        assert_type(job, DoFooJob)
        assert_type(job.context.foo.frozzled, int)
"""

BAD = """\
from __future__ import annotations

from good import DoFooJob, FooJob, FooJobType, LetterJob
from jobcron import BaseRunnableJob


class BadJob(BaseRunnableJob[FooJob]):
    class_job_type = FooJobType.DO_FOO

    def run(self) -> None:
        self.context.fooo  # BAD
        self.no_such_thing()  # BAD
        self.progress = "much"  # BAD


def request(job: LetterJob) -> None:
    job.copies = "two"  # BAD
    DoFooJob.get("seven")  # BAD
"""

BAD_LINES = [number for number, line in enumerate(BAD.splitlines(), 1) if "# BAD" in line]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a user's folder, with a module that is right and one whose marked lines are wrong."""
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    return tmp_path


def mypy(folder: Path, name: str) -> list[tuple[int, str]]:
    """Return the lines that mypy complains of, with what it says."""
    (folder / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    command = [sys.executable, "-m", "mypy", "--output=json", f"--cache-dir={folder / 'cache'}", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [(error["line"], error["message"]) for error in found]


def pyright(folder: Path, name: str) -> list[tuple[int, str]]:
    """Return the lines that pyright complains of: basedpyright is pyright with a Node of its own, by pip alone."""
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    tool = str(Path(sys.executable).with_name("basedpyright"))
    command = [tool, "--outputjson", "--pythonpath", sys.executable, name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1, report
    return [(e["range"]["start"]["line"] + 1, e["message"]) for e in report["generalDiagnostics"]]


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_users_job_classes_pass_strict_checks(folder: Path, checker: object) -> None:
    assert callable(checker)
    assert checker(folder, "good.py") == []


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_checker_knows_the_family_row_the_target_and_the_arguments(folder: Path, checker: object) -> None:
    assert callable(checker)
    assert sorted({line for line, _ in checker(folder, "bad.py")}) == BAD_LINES
