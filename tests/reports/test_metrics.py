"""What Prometheus and a hook of the application's are told of jobs and runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import fooapp
from instances import wait_until
from jobcron import Job, JobStatus, JobTakenOver
from metrics_files import Metrics

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


RUNNERS = ("JobRunner", "ProcessJobRunner")


@pytest.mark.feature("LP-33")
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_run_says_what_became_of_its_jobs(metrics: Metrics, runner: str) -> None:
    metrics.configure(section=f"runner_class: {runner}")
    metrics.instance.act(("sleep", 0.2))
    metrics.instance.act(("raise", "value"))
    metrics.instance.act(("raise", "user"))
    metrics.instance.act(("raise", "suspend"))
    metrics.instance.act(("raise", "retry"))  # once more, and then it has failed
    metrics.instance.run("act")
    metrics.instance.make_due()
    metrics.instance.run("act")
    assert metrics.jobs("jobs_started_total") == 6
    ended = {
        outcome: metrics.jobs("jobs_ended_total", outcome=outcome)
        for outcome in ("completed", "failed", "user_error", "suspended", "retry", "interrupted")
    }
    assert ended == {
        "completed": 1,
        "failed": 2,
        "user_error": 1,
        "suspended": 1,
        "retry": 1,
        "interrupted": None,
    }
    total = metrics.jobs("job_duration_seconds_sum")
    assert total is not None
    assert 0.2 <= total < 10
    assert metrics.jobs("job_duration_seconds_count") == 6
    assert metrics.jobs("job_duration_seconds_bucket", le="+Inf") == 6
    assert metrics.jobs("job_duration_seconds_bucket", le="0.1") != 6
    assert metrics.value("jobcron_ready_jobs") == 0
    assert metrics.value("jobcron_oldest_ready_seconds") == 0


@pytest.mark.feature("LP-33")
@pytest.mark.parametrize("runner", RUNNERS)
def test_counters_grow_from_run_to_run(metrics: Metrics, runner: str) -> None:
    metrics.configure(section=f"runner_class: {runner}")
    for done in (1, 2, 3):
        metrics.instance.act(("write", "x"))
        metrics.instance.run("act")
        assert metrics.jobs("jobs_started_total") == done
        assert metrics.jobs("jobs_ended_total", outcome="completed") == done
        assert metrics.jobs("job_wait_seconds_count") == done
        assert metrics.value("jobcron_run_duration_seconds_count") == done
    assert metrics.jobs("jobs_ended_total", outcome="failed") == 0


@pytest.mark.feature("LP-33")
@on_sqlite
def test_each_section_has_a_file_of_its_own(metrics: Metrics) -> None:
    metrics.instance.act(("write", "x"))
    metrics.instance.run("act")
    with metrics.instance.session() as session:
        fooapp.DoFooJob.create(metrics.instance.foo(session), session=session)
    metrics.instance.run("do_foo")
    assert sorted(path.name for path in metrics.folder.iterdir()) == ["jobcron_act.prom", "jobcron_do_foo.prom"]
    assert (
        'jobcron_jobs_started_total{section="do_foo",job_class="DoFooJob"} 1\n'
        in (metrics.folder / "jobcron_do_foo.prom").read_text()
    )


@pytest.mark.feature("LP-33")
def test_a_job_whose_process_died_has_failed(metrics: Metrics) -> None:
    metrics.configure(section="runner_class: ProcessJobRunner")
    metrics.instance.act(("kill", None))
    metrics.instance.run("act")
    assert metrics.jobs("jobs_started_total") == 1
    assert metrics.jobs("jobs_ended_total", outcome="failed") == 1
    assert metrics.jobs("job_duration_seconds_count") == 1


@pytest.mark.feature("LP-23", "LP-33")
@on_sqlite
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_job_whose_run_died_is_counted_by_who_takes_it_over(
    metrics: Metrics, events: list[Any], tmp_path: Path, runner: str
) -> None:
    metrics.configure(section=f"runner_class: {runner}")
    started, go_on = tmp_path / "started", tmp_path / "go on"
    job = metrics.instance.act(("touch", str(started)), ("wait_for", str(go_on)))
    run = metrics.instance.start("act")
    wait_until(started.exists, "the job")
    run.kill()
    run.communicate()
    assert not metrics.path.exists()
    go_on.touch()
    metrics.instance.end_lease(job)
    metrics.configure("metrics_hook: metricsapp:heard.append", f"runner_class: {runner}")
    metrics.instance.run("act")
    assert metrics.value("jobcron_jobs_taken_over_total") == 1
    assert (metrics.jobs("jobs_started_total"), metrics.jobs("jobs_ended_total", outcome="completed")) == (1, 1)
    assert [type(event).__name__ for event in events][:3] == ["JobTakenOver", "JobStarted", "JobEnded"]
    assert events[0] == JobTakenOver("act", job)


@pytest.mark.feature("LP-23", "LP-33")
@on_sqlite
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_job_that_is_poison_begins_and_fails_and_its_death_is_counted(metrics: Metrics, runner: str) -> None:
    metrics.configure("crash_limit: 1", f"runner_class: {runner}")
    job = metrics.instance.act(("write", "x"))
    with metrics.instance.session() as session:
        session.get_one(Job, job).start()
    metrics.instance.end_lease(job)
    metrics.instance.run("act")
    assert metrics.instance.row(job).status is JobStatus.FAILED
    assert metrics.value("jobcron_jobs_taken_over_total") == 1
    assert (metrics.jobs("jobs_started_total"), metrics.jobs("jobs_ended_total", outcome="failed")) == (1, 1)


@pytest.mark.feature("LP-33")
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_job_has_waited_since_it_was_due(metrics: Metrics, runner: str) -> None:
    metrics.configure(section=f"runner_class: {runner}")
    long_ago = datetime.now(UTC) - timedelta(days=100)
    with metrics.instance.session() as session:
        foo = metrics.instance.foo(session)
        # due before it was made
        fooapp.ActJob.create(foo, session=session, scheduled_start=long_ago)
        made_long_ago = fooapp.ActJob.create(foo, session=session)
        made_long_ago.job.date_created = long_ago
        made_long_ago.job.scheduled_start = datetime.now(UTC) - timedelta(seconds=100)
    metrics.instance.run("act")
    waited = metrics.jobs("job_wait_seconds_sum")
    assert waited is not None
    assert 100 <= waited < 140
    assert metrics.jobs("job_wait_seconds_bucket", le="60") == 1
    assert metrics.jobs("job_wait_seconds_bucket", le="300") == 2


@pytest.mark.feature("LP-33")
def test_a_job_that_is_taken_over_from_the_dead_has_not_waited(metrics: Metrics) -> None:
    job = metrics.instance.act(("write", "x"))
    with metrics.instance.session() as session:
        session.get_one(Job, job).start()
    metrics.instance.end_lease(job)
    metrics.instance.run("act")
    assert metrics.jobs("jobs_ended_total", outcome="completed") == 1
    assert metrics.jobs("job_wait_seconds_count") is None


@pytest.mark.feature("LP-33")
@on_sqlite
def test_a_run_that_found_nothing_says_that_it_ran(metrics: Metrics) -> None:
    before = time.time()
    metrics.instance.command("run", "act")
    for name in ("last_run", "last_success"):
        when = metrics.value(f"jobcron_{name}_timestamp_seconds")
        assert when is not None
        assert before <= when <= time.time()
    took = metrics.value("jobcron_last_run_duration_seconds")
    assert took is not None
    assert 0 < took <= time.time() - before
    metrics.path.unlink()
    metrics.instance.command("run", "act")  # no run row is due, nothing is ready: an empty tick
    assert not metrics.path.exists()


@pytest.mark.feature("LP-33")
@on_sqlite
def test_a_run_that_could_not_do_its_work_is_no_success(metrics: Metrics) -> None:
    metrics.instance.run("act")
    success = metrics.value("jobcron_last_success_timestamp_seconds")
    metrics.instance.act(("press_a_key", ""))
    with pytest.raises(KeyboardInterrupt):
        metrics.instance.run("act")
    assert metrics.value("jobcron_last_success_timestamp_seconds") == success
    assert metrics.value("jobcron_last_run_timestamp_seconds") != success
    assert metrics.jobs("jobs_ended_total", outcome="interrupted") == 1
    assert metrics.value("jobcron_ready_jobs") is None  # not what it was some time ago
    assert metrics.value("jobcron_run_duration_seconds_count") == 2
