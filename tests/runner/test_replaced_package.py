"""A release that is replaced under a run: from the claim on, all that is needed to end jobs is in memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import jobcron
from instances import SECTIONS, Instance
from jobcron import JobStatus
from paths import TOOLS

C, F, W, S = JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.WAITING, JobStatus.SUSPENDED

JOBS: list[tuple[list[tuple[str, Any]], JobStatus]] = [
    ([("write", "effect")], C),
    ([("raise", "value")], F),
    ([("chain", "")], F),
    ([("raise", "user")], F),
    ([("raise", "retryable")], W),
    ([("raise", "suspend")], S),
    ([("raise", "deadlock")], W),
    ([("raise", "unprintable")], F),
    ([("raise", "exit")], F),
    ([("raise", "hard to store")], F),
    ([("sql", "SELECT nonsense")], F),
    ([("later", "")], C),
    ([("write", "effect"), ("checkpoint", ""), ("progress", 50), ("sleep", 1.5)], C),
]
"""Jobs of each outcome, the last one long enough for a renewal."""


def run_without_package(
    instance: Instance, tmp_path: Path, *arguments: str, **environment: str
) -> tuple[list[str], str]:
    """Run with a copy of the package that is replaced at the first claim; return what was read, and the log."""
    copy = tmp_path / "release"
    shutil.copytree(Path(jobcron.__file__).parent, copy / "jobcron")
    done = subprocess.run(
        [sys.executable, TOOLS / "late_imports.py", "run", *arguments],
        env={
            **os.environ,
            "JOBCRON_CONFIG": str(instance.path),
            "PYTHONPATH": str(copy),
            "GONE": str(copy / "old"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (copy / "old").exists()
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_jobs_end_as_they_should_though_the_package_is_gone_from_the_claim_on(
    instance: Instance, tmp_path: Path
) -> None:
    publishers = "datedir" if find_spec("oops_datedir_repo") else "files"
    instance.configure(f"oops_publishers: {publishers}", sections=SECTIONS)
    jobs = [(instance.act(*actions, tell=["someone@example.com"]), status) for actions, status in JOBS]
    late, log = run_without_package(instance, tmp_path, "act")
    assert late == []
    assert "could not be" not in log
    assert [instance.row(job).status for job, _ in jobs] == [status for _, status in jobs]
    assert len(list((instance.path / "mail").iterdir())) == sum(status is F for _, status in jobs)
    assert instance.query("SELECT completed FROM jobcron_run") == [(3,)]
    assert [note for _, _, note in instance.ledger()] == ["effect", "effect"]


def test_a_run_that_an_error_ends_says_so_though_the_package_is_gone(instance: Instance, tmp_path: Path) -> None:
    with instance.session() as session:
        instance.foo(session)
    instance.act(("press_a_key", ""), ("sleep", 10))
    late, log = run_without_package(instance, tmp_path, "act")
    assert late == []
    assert "ERROR   Stopped from the keyboard" in log
    assert [row.status for row in instance.rows()] == [W]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_isolated_jobs_that_cannot_start_any_more_are_put_back(instance: Instance, tmp_path: Path) -> None:
    section = "[act]\nsource_interface: fooapp.IActJobSource\ndbuser: foo_runner\nrunner_class: ProcessJobRunner\n"
    instance.configure(sections=section)
    jobs = [instance.act(("write", "effect")) for _ in range(3)]
    late, log = run_without_package(instance, tmp_path, "act")
    assert late == []
    assert "half of a release" in log
    assert [(instance.row(job).status, instance.row(job).attempt_count) for job in jobs] == [(W, 0)] * 3
