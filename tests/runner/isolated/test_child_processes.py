"""Processes that a job starts or copies: they commit nothing, and none is left behind."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from instances import Instance
from isolated_jobs import is_alive, make, processes, reports
from jobcron import JobStatus
from jobcron.runner.isolated._child import Child


@pytest.mark.feature("LP-24")
@pytest.mark.parametrize("section", ["harsh", "in_process"])
@pytest.mark.parametrize("thing", ["fork", "fork_and_wait"])
def test_a_copy_that_a_job_makes_of_its_process_commits_nothing(harsh: Instance, section: str, thing: str) -> None:
    job, after = make(harsh, thing, "nap")
    _, log = harsh.command("run", section)
    assert "Ran 2 HarshJob jobs." in log
    assert "lost its lease" not in log
    assert [harsh.row(number).status for number in (job, after)] == [JobStatus.COMPLETED] * 2
    assert sorted(job for (job,) in harsh.query("SELECT job FROM process")) == [job, after]
    said = [report["value"] for report in reports(harsh)]
    if section == "in_process":
        assert said == []
    else:
        assert [value for value in said if "left 1 process behind" not in value] == []
        assert len(said) <= 1


@pytest.mark.feature("LP-24")
@pytest.mark.parametrize("thing", ["leave_behind", "leave_in_a_session", "leave_an_orphan"])
def test_what_a_job_leaves_behind_is_killed_wherever_it_has_gone(
    harsh: Instance, tmp_path: Path, thing: str
) -> None:
    path = tmp_path / "left"
    with subprocess.Popen(["sleep", "600"]) as of_the_application:
        job, after = make(harsh, thing, "well", path=str(path))
        err = harsh.run("harsh")
        assert of_the_application.poll() is None
        of_the_application.kill()
    assert "left 1 process behind: killed now." in err
    assert not is_alive(int(path.read_text()))
    assert [harsh.row(number).status for number in (job, after)] == [JobStatus.COMPLETED] * 2


@pytest.mark.feature("LP-24")
def test_what_a_job_that_killed_its_process_had_started_is_killed(harsh: Instance, tmp_path: Path) -> None:
    path = tmp_path / "left"
    (job,) = make(harsh, "leave_an_orphan_and_die", path=str(path))
    harsh.run("harsh")
    assert not is_alive(int(path.read_text()))
    assert harsh.row(job).status is JobStatus.FAILED


@pytest.mark.feature("LP-24")
def test_what_copies_of_the_process_log_is_not_mixed_with_what_it_says(harsh: Instance) -> None:
    job, after = make(harsh, "log_from_copies", "well")
    err = harsh.run("harsh")
    assert [harsh.row(number).status for number in (job, after)] == [JobStatus.COMPLETED] * 2, err
    assert len(set(processes(harsh).values())) == 1
    lines = [line.rpartition(" ")[2] for line in err.splitlines()]
    assert sorted(line[0] for line in lines if len(line) == 60_000) == sorted("abc" * 5)  # the threads'
    assert err.count("FROM ") == 15  # the copies'


@pytest.mark.feature("LP-24")
@pytest.mark.parametrize("section", ["harsh", "in_process"])
def test_a_signal_to_a_copy_that_a_job_makes_of_its_process_stops_no_run(harsh: Instance, section: str) -> None:
    job, after = make(harsh, "end_a_copy", "well")
    harsh.command("run", section)
    assert [harsh.row(number).status for number in (job, after)] == [JobStatus.COMPLETED] * 2
    assert harsh.events(job) == []


@pytest.mark.feature("LP-24")
def test_a_signal_to_a_process_that_has_just_ended_is_none() -> None:
    child = Child({})
    child.end()
    child.signal(signal.SIGTERM)
