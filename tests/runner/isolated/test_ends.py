"""The ends of isolated jobs: what follows ``run`` is not cut short, and a run that stops takes no job along."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.runner.isolated import _slot
from lateapp import SLOW_IMPORT, LateJob, PlainJob, TellingJob
from runner_processes import started

SECTIONS = """
[late]
source_interface: lateapp.LateJob
runner_class: ProcessJobRunner

[telling]
source_interface: lateapp.TellingJob
runner_class: ProcessJobRunner

[plain]
source_interface: lateapp.PlainJob
runner_class: ProcessJobRunner
"""


@pytest.fixture
def ends(instance: Instance) -> Instance:
    """Return an instance with the jobs of `lateapp`."""
    instance.configure(sections=SECTIONS)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "lateapp"))
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
