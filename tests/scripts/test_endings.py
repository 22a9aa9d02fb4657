"""What a script says and returns at its end when its directories or reports fail."""

from __future__ import annotations

import json
import re
import socket
import stat
from pathlib import Path

import pytest

from failing_jobs import CANARY, everything_written
from failingapp import FailJob
from instances import Instance
from jobcron import JobStatus
from script_runs import do_foo, reconfigure, refused, untouched

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before there is a database."""


@pytest.mark.parametrize("key", ["state_dir", "lock_dir"])
@pytest.mark.parametrize("wrong", ["a file", "below a file", "writable by everybody"])
@on_sqlite
def test_a_directory_that_cannot_be_used_is_named(
    instance: Instance, tmp_path: Path, key: str, wrong: str
) -> None:
    job = do_foo(instance)
    place = tmp_path / "place"
    if wrong == "writable by everybody":
        place.mkdir()
        place.chmod(0o777)
    else:
        place.write_text("")
    directory = place / "deeper" if wrong == "below a file" else place
    if key == "state_dir":
        reconfigure(instance, state_dir=str(directory))
    else:
        instance.configure(f"{key}: {directory}\n")
    message = refused(instance, expect=1)
    assert str(directory) in message
    assert "expected" in message
    untouched(instance, job)


def test_an_oops_directory_that_cannot_be_used_loses_no_job(instance: Instance, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(0o777)
    jobs = [instance.act(("raise", "value")), instance.act(("write", "x"))]
    instance.configure(f"error_dir: {place}\n")
    _, err = instance.command("run", "act")
    assert [instance.row(job).status for job in jobs] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert "chmod o-w" in err
    assert list(place.iterdir()) == []


@on_sqlite
def test_a_crash_whose_report_cannot_be_written_is_in_the_log(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (instance.path / "brokenapp.py").write_text("raise ValueError('password=c4nary-pw oh dear')\n")
    instance.configure(f"error_dir: {tmp_path}/file/deeper\n")
    reconfigure(instance, application="brokenapp", python_path=str(instance.path))
    _, err = instance.command("run", "do_foo", expect=1)
    assert "oh dear" in err
    assert f"{tmp_path}/file/deeper" in err
    assert "c4nary" not in err


CRASHING = """
from contextlib import contextmanager
from jobcron import BaseRunnableJob, Job, JobType

class CrashType(JobType):
    CONTEXT = 1
    READY = 2
    ENTERED = 3

class Base(BaseRunnableJob[Job]):
    def run(self):
        pass

class Context(Base):
    class_job_type = CrashType.CONTEXT
    @staticmethod
    def contextManager():
        raise ValueError("password=c4nary-s3cret no context today")

class Entered(Base):
    class_job_type = CrashType.ENTERED
    @staticmethod
    @contextmanager
    def contextManager():
        raise ValueError("password=c4nary-s3cret no context today")
        yield

class Ready(Base):
    class_job_type = CrashType.READY
    @classmethod
    def iterReady(cls, *, session=None):
        raise ValueError("password=c4nary-s3cret no context today")
"""


@pytest.mark.feature("LP-26")
@pytest.mark.parametrize("name", ["Context", "Entered", "Ready"])
def test_a_crash_outside_any_job_leaves_a_report_and_status_1(instance: Instance, name: str) -> None:
    (instance.path / "crashapp.py").write_text(CRASHING)
    instance.configure(sections=f"[crash]\nsource_interface: crashapp.{name}\n")
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace("application: fooapp:register", "application: crashapp")
    path.write_text(re.sub("^(python_path: .*)$", rf"\1 {instance.path}", text, flags=re.M))
    with instance.session() as session:
        job = FailJob.create(session=session, metadata={"kind": "value"}).job.id
    out, err = instance.command("run", "crash", expect=1)
    assert out == ""
    (file,) = instance.oopses()
    report = json.loads(file.read_text())
    assert (report["type"], report["id"]) == ("ValueError", file.name)
    assert report["value"] == "password=*** no context today"
    assert report["tb_text"][-1] == "ValueError: password=*** no context today"
    assert report["reporter"] == "T-crash"
    assert report["hostname"] == socket.gethostname()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.name in err
    assert "no context today" in err
    assert CANARY not in everything_written(instance, err)
    assert instance.row(job).status is JobStatus.WAITING


@on_sqlite
def test_a_log_file_that_cannot_be_opened_is_told_once(instance: Instance, tmp_path: Path) -> None:
    _, err = instance.command("run", "do_foo", f"--log-file={tmp_path}", expect=2)
    assert err.count("--log-file: expected ") == 1
    _, err = instance.command("run", "nothing", f"--log-file={tmp_path}", expect=2)
    assert err.count("--log-file: expected ") == 1
    assert "expected a section [nothing]" in err
