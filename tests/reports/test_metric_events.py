"""Events for those who measure: what a hook is told, and a hook that fails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from sqlalchemy.orm import Session

import fooapp
from jobcron import JobCronScript, JobEnded, JobStarted, JobStatus, ReadyCounted, RunEnded
from metrics_files import Metrics

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


RUNNERS = ("JobRunner", "ProcessJobRunner")


@pytest.mark.feature("LP-33")
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_hook_is_told_of_jobs_and_runs(metrics: Metrics, events: list[Any], runner: str) -> None:
    metrics.configure("metrics_hook: metricsapp:heard.append", f"runner_class: {runner}")
    first = metrics.instance.act(("write", "x"))
    second = metrics.instance.act(("raise", "value"))
    metrics.instance.run("act")
    names = [type(event).__name__ for event in events]
    assert names == ["JobStarted", "JobEnded", "JobStarted", "JobEnded", "ReadyCounted", "RunEnded"]
    begun, ended, _, failed, ready, run = events
    assert begun == JobStarted("act", "ActJob", first, begun.waited)
    assert 0 <= begun.waited < 60
    assert ended == JobEnded("act", "ActJob", first, "completed", ended.seconds)
    assert 0 < ended.seconds < 30
    assert failed == JobEnded("act", "ActJob", second, "failed", failed.seconds)
    assert ready == ReadyCounted("act", 0, 0.0)
    assert run == RunEnded("act", run.seconds, succeeded=True)
    assert run.seconds > ended.seconds


@pytest.mark.feature("LP-33")
@on_sqlite
@pytest.mark.parametrize(
    ("hook", "error"), [("refuse", "OSError: nobody listens to JobStarted"), ("leave", "SystemExit: 3")]
)
def test_a_hook_that_fails_is_told_once_and_harms_nothing(metrics: Metrics, hook: str, error: str) -> None:
    metrics.configure(f"metrics_hook: metricsapp:{hook}")
    jobs = [metrics.instance.act(("write", "x")) for _ in range(3)]
    log = metrics.instance.run("act")
    assert f"WARNING The metrics_hook metricsapp:{hook} failed: {error}\n" in log
    assert log.count("failed") == 1
    assert {metrics.instance.row(job).status for job in jobs} == {JobStatus.COMPLETED}
    assert metrics.jobs("jobs_ended_total", outcome="completed") == 3
    assert metrics.instance.oopses() == []


@pytest.mark.feature("LP-33")
@on_sqlite
@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("no_such_module:f", "expected the module no_such_module to be importable"),
        ("metricsapp:heard.nothing", "expected heard.nothing in metricsapp to be a callable, found no"),
        ("metricsapp", "expected module:callable, got: metricsapp"),
    ],
)
def test_a_hook_that_is_not_there_is_a_mistake_in_the_configuration(
    metrics: Metrics, hook: str, message: str
) -> None:
    metrics.configure(f"metrics_hook: {hook}")
    _, error = metrics.instance.command("run", "act", expect=2)
    assert "section [jobcron], key metrics_hook: " in error
    assert message in error
    assert message in metrics.instance.command("check-config", expect=2)[0]


@pytest.mark.feature("LP-33")
def test_what_a_test_runs_is_no_news(
    metrics: Metrics, session: Session, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics.configure("metrics_hook: metricsapp:heard.append")
    monkeypatch.setenv("JOBCRON_CONFIG", str(metrics.instance.path))
    job = fooapp.ActJob.create(metrics.instance.foo(session))
    JobCronScript(test_args=["act"], commandline_config=True).main()
    assert job.status is JobStatus.COMPLETED
    assert events == []
    assert not metrics.path.exists()


names = st.from_regex("[a-z][a-z_]{0,8}", fullmatch=True).filter(lambda name: name != "le")  # a bucket's bound
