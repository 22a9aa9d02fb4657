"""A worker's own file for Prometheus, while it lives."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from instances import Instance
from jobcron import load_settings
from jobcron.reports.worker_metrics import WorkerMetrics
from metrics_files import Metrics, values_in
from worker_processes import eventually, worker

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.feature("LP-33", "OCQ-07")
@on_sqlite
def test_a_worker_writes_its_own_file_and_removes_it_when_it_leaves(metrics: Metrics) -> None:
    path = metrics.folder / "jobcron.act+do_foo.prom"
    began = time.time()
    with worker(metrics.instance, "--processes", "3") as running:
        eventually(path.exists)
        values = {name: value for (name, *labels), value in values_in(path).items()}
        assert {tuple(labels) for _, *labels in values_in(path)} == {(("sections", "act,do_foo"),)}
        assert values["jobcron_worker_most_processes"] == 3
        assert values["jobcron_worker_processes"] in (0, 1, 2)
        assert began <= values["jobcron_worker_start_timestamp_seconds"] <= time.time()
        assert values["jobcron_worker_last_sign_timestamp_seconds"] >= began
        assert running.stop() == 0
    assert not path.exists()


@on_sqlite
def test_a_directory_that_cannot_be_used_is_told_once_and_stops_no_worker(
    instance: Instance, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    instance.configure(f"metrics_dir: {tmp_path / 'gone'}")
    metrics = WorkerMetrics(load_settings(str(instance.path)), ["act"], 1, logging.getLogger())
    metrics.write(1)
    metrics.write(1)
    metrics.remove()
    (record,) = caplog.records
    assert f"key metrics_dir: expected the directory {tmp_path / 'gone'} to be there" in record.getMessage()
    (tmp_path / "gone").mkdir()
    metrics.write(1)
    assert (tmp_path / "gone" / "jobcron.act.prom").exists()


@on_sqlite
def test_the_names_of_many_sections_make_a_name_that_a_file_can_have(instance: Instance, tmp_path: Path) -> None:
    instance.configure(f"metrics_dir: {tmp_path}")
    settings = load_settings(str(instance.path))
    names = [f"section_{number}" for number in range(100)]
    for chosen in (names, names[:-1]):
        WorkerMetrics(settings, chosen, 1, logging.getLogger()).write(1)
    assert len(list(tmp_path.glob("jobcron.section_*.prom"))) == 2
