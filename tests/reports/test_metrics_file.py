"""The file of metrics: readable by all, whole or not at all, and never what stops a run."""

from __future__ import annotations

import logging
import multiprocessing
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobcron import JobStatus, load_settings
from jobcron.reports.metrics import observed
from metrics_files import Metrics

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.feature("LP-33")
@on_sqlite
def test_everybody_may_read_the_file_and_nothing_else_is_left(metrics: Metrics) -> None:
    old_mask = os.umask(0o077)
    try:
        metrics.instance.run("act")
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(metrics.path.stat().st_mode) == 0o644
    assert list(metrics.folder.iterdir()) == [metrics.path]


@pytest.mark.feature("LP-33")
@on_sqlite
def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(metrics: Metrics, tmp_path: Path) -> None:
    metrics.instance.run("act")
    theirs = metrics.path.rename(tmp_path / "theirs")
    text = theirs.read_text()
    metrics.path.symlink_to(theirs)
    assert "The counters of" in metrics.instance.run("act")
    assert theirs.read_text() == text
    assert not metrics.path.is_symlink()
    assert metrics.value("jobcron_run_duration_seconds_count") == 1


@pytest.mark.feature("LP-33")
@on_sqlite
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("_count{", "_count", 1), "a line cannot be read"),
        (lambda text: text.replace("} 2\n", "} nan\n", 1), "a line cannot be read"),
        (lambda text: text[:-20], "a line cannot be read"),
        (lambda text: "somebody else's\n" + text, "its first line is not one of jobcron's"),
        (lambda text: text + "\0" * 5_000_000, "it is longer than 4194304 bytes"),
        (lambda text: text.replace("act", "\udcff"), "can't decode byte"),
        (lambda text: "", None),
        (lambda text: text.replace("# jobcron 0", "# jobcron 00"), None),
    ],
)
def test_a_file_that_cannot_be_used_begins_anew(
    metrics: Metrics, change: Callable[[str], str], reason: str | None
) -> None:
    for _ in range(2):
        metrics.instance.run("act")
    assert metrics.value("jobcron_run_duration_seconds_count") == 2
    metrics.path.write_text(change(metrics.path.read_text()), errors="surrogateescape")
    log = metrics.instance.run("act")
    assert (reason in log) if reason else (log == "")
    assert metrics.value("jobcron_run_duration_seconds_count") == 1


@pytest.mark.feature("LP-33")
@on_sqlite
def test_a_directory_that_cannot_be_used_changes_nothing_about_the_run(metrics: Metrics) -> None:
    def outcome() -> tuple[str, JobStatus]:
        job = metrics.instance.act(("write", "x"))
        log = metrics.instance.run("act")
        assert metrics.instance.command("check-config", expect=1)[0].count("metrics_dir") == 1
        return log, metrics.instance.row(job).status

    metrics.folder.chmod(0o777)
    log, status = outcome()
    assert "The metrics of this run could not be written: " in log
    assert (
        f"[jobcron], key metrics_dir: expected the directory {metrics.folder} not to be one where everybody" in log
    )
    assert status is JobStatus.COMPLETED
    assert metrics.instance.oopses() == []
    metrics.folder.rmdir()
    log, status = outcome()
    assert (
        f"metrics_dir: expected the directory {metrics.folder} to be there, got: No such file or directory" in log
    )
    assert status is JobStatus.COMPLETED
    metrics.folder.touch()
    log, status = outcome()
    assert f"the directory {metrics.folder} to be a directory, it is something else" in log
    assert status is JobStatus.COMPLETED


@pytest.mark.feature("LP-33")
@on_sqlite
def test_a_sticky_directory_will_do(metrics: Metrics) -> None:
    metrics.folder.chmod(0o1777)
    assert metrics.instance.run("act") == ""
    assert metrics.path.exists()
    assert f"ok       metrics_dir {metrics.folder}\n" in metrics.instance.command("check-config")[0]


@pytest.mark.feature("LP-33")
@on_sqlite
def test_processes_of_one_section_that_end_at_once_lose_no_count(metrics: Metrics) -> None:
    settings = load_settings(str(metrics.instance.path))
    barrier = multiprocessing.get_context("fork").Barrier(6)

    def end_runs() -> None:
        for _ in range(30):
            barrier.wait(60)
            with observed(settings, "act", time.monotonic(), logging.getLogger()) as observer:
                observer.job_ended("ActJob", 1, "completed", 0.1)

    processes = [multiprocessing.get_context("fork").Process(target=end_runs) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert metrics.jobs("jobs_ended_total", outcome="completed") == 6 * 30
