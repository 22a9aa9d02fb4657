"""The ends of isolated jobs: what follows ``run`` is not cut short, and a run that stops takes no job along."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import Instance, wait_until
from jobcron import BaseRunnableJob, JobStatus, JobType, after_commit
from jobcron.runner.isolated import _slot
from processes import started

SECTIONS = """
[late]
source_interface: test_isolate_ends.LateJob
runner_class: ProcessJobRunner

[telling]
source_interface: test_isolate_ends.TellingJob
runner_class: ProcessJobRunner

[plain]
source_interface: test_isolate_ends.PlainJob
runner_class: ProcessJobRunner
"""

SLOW_IMPORT = "JOBCRON_TEST_SLOW_IMPORT"
"""Names a file that is there as long as the import of the application is to take, in a child that runs jobs."""


class EndsJobType(JobType):
    """The types of this module."""

    LATE = 40
    TELLING = 41
    PLAIN = 42


def note(path: str, text: str) -> None:
    """Write a line to a file."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{text}\n")


class LateJob(BaseRunnableJob):
    """Fails just before its time limit, and takes as long again to clean up."""

    class_job_type = EndsJobType.LATE
    time_limit = timedelta(seconds=6)
    path: str

    def run(self) -> None:
        """Fail late."""
        time.sleep(5.8)
        raise ValueError("the real error")

    def afterFailure(self, error: BaseException) -> None:
        """Take a while."""
        note(self.path, "begun")
        time.sleep(5.7)  # within its own limit; the parent's patience with ``run`` ends after 11 s
        note(self.path, "ended")


class TellingJob(BaseRunnableJob):
    """Tells somebody after its commit, for longer than its lease and its time limit."""

    class_job_type = EndsJobType.TELLING
    lease_duration = timedelta(seconds=1)
    time_limit = timedelta(seconds=1)
    path: str

    def run(self) -> None:
        """Leave word."""
        path = self.path

        def tell() -> None:
            note(path, "begun")
            time.sleep(8)
            note(path, "ended")

        after_commit(self.session, tell)


class PlainJob(BaseRunnableJob):
    """Notes that it ran."""

    class_job_type = EndsJobType.PLAIN
    path: str

    def run(self) -> None:
        """Take a moment."""
        note(self.path, "begun")
        time.sleep(0.5)
        note(self.path, "ended")


@pytest.fixture
def ends(instance: Instance) -> Instance:
    """Return an instance with the jobs of this module."""
    instance.configure(sections=SECTIONS)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "test_isolate_ends"))
    return instance


@pytest.mark.feature("LP-24")
def test_a_job_that_fails_late_has_its_own_time_to_clean_up_and_is_reported_with_its_own_error(
    ends: Instance, tmp_path: Path
) -> None:
    path = tmp_path / "told"
    with ends.session() as session:
        job = LateJob.create(path=str(path), session=session).id
    ends.run("late")
    assert path.read_text().split() == ["begun", "ended"]
    (report,) = [json.loads(oops.read_text()) for oops in ends.oopses()]
    assert (report["type"], report["value"]) == ("ValueError", "the real error")
    assert ends.row(job).status is JobStatus.FAILED


@pytest.mark.feature("LP-24")
def test_what_a_completed_job_does_after_its_commit_is_not_cut_by_its_lease_or_its_time_limit(
    ends: Instance, tmp_path: Path
) -> None:
    path = tmp_path / "told"
    with ends.session() as session:
        job = TellingJob.create(path=str(path), session=session).id
    log = ends.run("telling")
    assert path.read_text().split() == ["begun", "ended"]
    assert "Ran 1 TellingJob jobs." in log
    assert ends.row(job).status is JobStatus.COMPLETED
    assert ends.oopses() == []


@pytest.mark.feature("LP-24")
def test_what_takes_too_long_after_its_commit_is_ended_and_told_and_the_job_is_completed(
    ends: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_slot, "CLEAN_UP_SECONDS", 0.5)
    path = tmp_path / "told"
    with ends.session() as session:
        job = TellingJob.create(path=str(path), session=session).id
    log = ends.run("telling")
    assert path.read_text().split() == ["begun"]
    assert f"TellingJob (ID {job}) ended as Completed before its process did: it did not do so in time" in log
    assert "Ran 1 TellingJob jobs." in log
    assert ends.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-24")
def test_a_run_that_is_stopped_while_its_child_imports_the_application_begins_no_job(
    ends: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, importing = tmp_path / "told", tmp_path / "importing"
    importing.touch()
    monkeypatch.setenv(SLOW_IMPORT, str(importing))
    with ends.session() as session:
        job = PlainJob.create(path=str(path), session=session).id
    with started(ends, "plain") as run:
        wait_until(lambda: importing.read_text() != "", "the child to import")
        run.signal(signal.SIGTERM)
        time.sleep(0.3)
        importing.unlink()
        run.end()
    assert not path.exists()
    row = ends.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.WAITING, 0, 0)


def _import_slowly() -> None:
    path = Path(os.environ.get(SLOW_IMPORT, "/nowhere"))
    if path.exists() and "jobcron.runner.isolated" in Path("/proc/self/cmdline").read_text(encoding="utf-8"):
        path.write_text("it has begun")
        while path.exists():
            time.sleep(0.05)


_import_slowly()
