"""Profiles of runs: where the time goes, also where a run or its disk fails."""

from __future__ import annotations

import os
import pstats
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.feature("LP-35")
@on_sqlite
def test_a_profile_says_where_the_time_goes(instance: Instance, tmp_path: Path) -> None:
    instance.act(("write", "x"))
    path = tmp_path / "run.profile"
    path.write_text("an old one, " * 100_000)
    instance.command("run", "act", "--profile", str(path))
    functions = {name for _, _, name in pstats.Stats(str(path)).stats}  # type: ignore[attr-defined]
    assert {"run_section", "act_write"} <= functions


@pytest.mark.feature("LP-35")
@on_sqlite
def test_a_run_that_fails_leaves_its_profile_as_well(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "run.profile"
    instance.configure(sections="[act]\nsource_interface: fooapp.NoSuchJob\n")
    _, err = instance.command("run", "act", "--profile", str(path), expect=2)
    assert "expected NoSuchJob in fooapp" in err
    assert pstats.Stats(str(path)).total_calls > 0  # type: ignore[attr-defined]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.feature("LP-35")
@pytest.mark.parametrize("wrong", ["folder", "missing", "link", "pipe", "nul"])
@on_sqlite
def test_a_profile_that_cannot_be_written_is_refused_before_the_run(
    instance: Instance, tmp_path: Path, wrong: str
) -> None:
    job = instance.act(("write", "x"))
    path = tmp_path / "run.profile"
    match wrong:
        case "folder":
            path.mkdir()
        case "missing":
            path = path / "deeper"
        case "link":
            (tmp_path / "target").touch()
            path.symlink_to(tmp_path / "target")
        case "pipe":
            os.mkfifo(path)
    name = "" if wrong == "nul" else str(path)
    _, err = instance.command("run", "act", "--profile", name, expect=2)
    assert f"error: argument --profile: expected a file that can be written, got: {name!r}" in err
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.feature("LP-35")
@on_sqlite
def test_a_disk_that_is_full_costs_the_profile_and_no_job(instance: Instance) -> None:
    job = instance.act(("write", "x"))
    _, err = instance.command("run", "act", "--profile", "/dev/full")
    assert "WARNING The profile could not be written: " in err
    assert instance.row(job).status is JobStatus.COMPLETED
