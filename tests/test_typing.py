"""A user's job classes under mypy strict and pyright strict, with no plugin and no configuration of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """\
from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from jobcron import BaseRunnableJob, FamilyRow, Job, JobCronScript, JobStatus, JobType, job_type_column
from jobcron.functions import FunctionJob, job, job_as_parameter, schedule_job
from jobcron.steps import StepsJob, create
from jobcron.testing import assert_waiting, waiting_jobs


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


@job
def export(model: str, number: int = 1) -> str:
    return model * number


@job(retry_pattern={1: 10, 2: (5, 60)}, database_only=True)
def with_session(session: Session, text: str) -> None:
    session.flush()


@job
@job_as_parameter
def again(running: FunctionJob, number: int) -> None:
    running.reschedule("1d", expires=None)


@job_as_parameter
@job(priority=3)
def other_order(running: FunctionJob, number: int) -> None:
    running.reschedule("1d")


@job
def anything(thing: Any, number: int) -> None:
    pass


def fetch(job: StepsJob) -> None:
    job.workspace["count"] = job.workspace.get("count", 0) + 1


class Cats(StepsJob):
    name = "cats"
    tasks = [fetch, "shop.cats.report"]
    creation_hook = fetch
    post_task_hook = "shop.cats.tell"

    def failure_hook(self, error: BaseException) -> None:
        self.workspace["error"] = str(error)


@Cats.task
def store(job: Cats) -> None:
    job.session.flush()


def request_steps(session: Session) -> None:
    assert_type(Cats.create(session=session, workspace={"count": 1}), Cats)
    assert_type(create("cats", workspace={"count": 1}), StepsJob)


def test_requests(foo: Foo) -> None:
    assert_type(waiting_jobs(LetterJob, foo), list[LetterJob])
    (job,) = assert_waiting(DoFooJob, foo)
    assert_type(job.context.foo, Foo)


def delay(session: Session) -> None:
    assert_type(export("a", number=2), str)
    assert_type(export.delay("a", number=2), str)
    export.delay(session, "a", 2)
    export.options(priority=3, eta=60, requester="ada", session=session).delay("a")
    with_session(session, "text")
    with_session.delay(session, "text")
    with_session.options(session=session).delay("text")
    again.options(priority=3).delay(number=7)
    again(FunctionJob.get(again.delay(session, 7), session=session), 7)
    other_order.delay(7)
    anything.delay(1, 2)
    schedule_job("5d", again, args=[7], session=session)
"""

BAD = """\
from __future__ import annotations

from good import DoFooJob, FooJob, FooJobType, LetterJob, again, export, with_session
from jobcron import BaseRunnableJob
from jobcron.steps import StepsJob
from jobcron.testing import waiting_jobs


class WrongSteps(StepsJob):
    name = "wrong"
    creation_hook = 7  # BAD


class BadJob(BaseRunnableJob[FooJob]):
    class_job_type = FooJobType.DO_FOO

    def run(self) -> None:
        self.context.fooo  # BAD
        self.no_such_thing()  # BAD
        self.progress = "much"  # BAD


def request(job: LetterJob) -> None:
    job.copies = "two"  # BAD
    DoFooJob.get("seven")  # BAD
    waiting_jobs("LetterJob")  # BAD
    export.delay(7)  # BAD
    export.options().delay("a", colour="red")  # BAD
    export.options(prioritty=3)  # BAD
    with_session.delay(7)  # BAD
    again.delay("seven")  # BAD
    again(7)  # BAD
"""

BAD_LINES = [number for number, line in enumerate(BAD.splitlines(), 1) if "# BAD" in line]


Found = dict[str, list[tuple[int, str]]]
"""The lines that a checker complains of, with what it says, by the name of the file."""


def mypy(folder: Path, *names: str) -> Found:
    """Let mypy look at files, with a cache that is new."""
    (folder / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    command = [sys.executable, "-m", "mypy", "--output=json", f"--cache-dir={folder / 'cache'}", *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    errors = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {name: [(e["line"], e["message"]) for e in errors if e["file"] == name] for name in names}


def pyright(folder: Path, *names: str) -> Found:
    """Let pyright look at files: basedpyright is pyright with a Node of its own, by pip alone."""
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    tool = str(Path(sys.executable).with_name("basedpyright"))
    command = [tool, "--outputjson", "--pythonpath", sys.executable, *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(names), report
    errors = report["generalDiagnostics"]
    return {
        name: [(e["range"]["start"]["line"] + 1, e["message"]) for e in errors if e["file"] == str(folder / name)]
        for name in names
    }


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_users_job_classes_pass_strict_checks_and_their_mistakes_are_found(
    checker: Callable[..., Found], tmp_path: Path
) -> None:
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)  # the family's row, the target and the arguments
    found = checker(tmp_path, "good.py", "bad.py")
    assert found["good.py"] == []
    assert sorted({line for line, _ in found["bad.py"]}) == BAD_LINES
