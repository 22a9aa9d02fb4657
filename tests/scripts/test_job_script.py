"""``run_jobs.py`` as cron starts it: environment, output, counts and status."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus
from paths import ROOT, TESTS
from script_runs import RUN_JOBS, TIME, as_cron, do_foo

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before there is a database."""


@pytest.mark.feature("LP-12", "LP-16")
@pytest.mark.parametrize("env", [{}, {"PATH": "/usr/bin:/bin"}], ids=["empty", "cron"])
def test_run_jobs_needs_no_environment_and_no_directory(
    instance: Instance, tmp_path: Path, env: dict[str, str]
) -> None:
    job = do_foo(instance)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = as_cron(instance, "do_foo", cwd=elsewhere, **env)
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(f"{TIME}INFO    Ran 1 DoFooJob jobs\\.\n", done.stderr)
    assert instance.row(job).status is JobStatus.COMPLETED
    assert list(elsewhere.iterdir()) == []


@pytest.mark.feature("LP-12")
@on_sqlite
def test_run_jobs_is_found_through_a_relative_path(instance: Instance) -> None:
    job = do_foo(instance)
    for cwd, script in ((ROOT / "cronscripts", "./run_jobs.py"), (TESTS, "../cronscripts/run_jobs.py")):
        command = [script, "do_foo", "--config", str(instance.path)]
        subprocess.run(command, cwd=cwd, env={}, check=True, timeout=60)
    assert instance.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-12")
@on_sqlite
def test_run_jobs_is_started_by_a_symbolic_link(instance: Instance, tmp_path: Path) -> None:
    job = do_foo(instance)
    link = tmp_path / "run-my-jobs"
    link.symlink_to(RUN_JOBS)
    subprocess.run([link, "do_foo", "--config", str(instance.path)], cwd=tmp_path, env={}, check=True, timeout=60)
    assert instance.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-16")
def test_counts_are_told_per_class_and_failures_apart(instance: Instance) -> None:
    for kind in ("value", "user", "suspend"):
        instance.act(("raise", kind))
    instance.act(("write", "x"))
    instance.act(("write", "x"))
    out, err = instance.command("run", "act")
    assert out == ""
    assert re.search(f"^{TIME}INFO    Ran 2 ActJob jobs\\.$", err, re.MULTILINE)
    assert re.search(f"^{TIME}INFO    3 ActJob jobs did not complete\\.$", err, re.MULTILINE)


@pytest.mark.feature("LP-16")
def test_with_nothing_to_do_nothing_is_said(instance: Instance) -> None:
    for _ in range(2):
        assert instance.command("run", "do_foo") == ("", "")


@pytest.mark.parametrize(
    ("kind", "status"), [("value", 1), ("user", 1), ("retryable", 1), ("suspend", 1), ("", 0)], ids=str
)
@on_sqlite
def test_the_status_tells_of_failed_jobs_only_where_it_is_asked_to(
    instance: Instance, kind: str, status: int
) -> None:
    action = ("raise", kind) if kind else ("write", "x")
    instance.act(action)
    instance.command("run", "act", "--fail-on-job-failure", expect=status)
    instance.act(action)
    instance.command("run", "act", expect=0)


def test_a_verbose_run_says_each_time_what_is_paused(instance: Instance) -> None:
    instance.act()
    instance.command("pause", "--section", "act", "--reason", "a move of the data")
    for _ in range(2):
        _, err = instance.command("run", "act", "-v")
        assert re.search(r"INFO    The section act is paused by .*: a move of the data\.", err)
