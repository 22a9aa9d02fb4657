"""What Prometheus and a hook of the application's are told of jobs and runs."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.orm import Session

import fooapp
from instances import Instance, wait_until
from jobcron import Job, JobCronScript, JobEnded, JobStarted, JobStatus, JobTakenOver, ReadyCounted, RunEnded
from jobcron.reports._prometheus_text import Family, exposition, parse

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

RUNNERS = ("JobRunner", "ProcessJobRunner")

heard: list[Any] = []
"""What the hook of these tests was told."""


def refuse(event: object) -> None:
    """Fail, as a hook."""
    raise OSError(f"nobody listens to {type(event).__name__}")


def leave(event: object) -> None:
    """Leave the process, as a hook."""
    raise SystemExit(3)


class Metrics:
    """An instance that writes metrics, and what its files say."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.instance = instance
        self.folder = folder
        self.path = folder / "jobcron_act.prom"
        self.configure()

    def configure(self, more: str = "", section: str = "") -> None:
        """Write the configuration: more keys of [jobcron], and of the section."""
        act = f"[act]\nsource_interface: fooapp.IActJobSource\n{section}\n"
        do_foo = "[do_foo]\nsource_interface: fooapp.IDoFooJobSource\n"
        self.instance.configure(f"metrics_dir: {self.folder}\n{more}", act + do_foo)

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of the sample of [act] with these labels, as Prometheus would read it."""
        return self.values().get((name, *sorted({"section": "act", **labels}.items())))

    def jobs(self, name: str, **labels: str) -> float | None:
        """Return the value of the sample about `ActJob`."""
        return self.value(f"jobcron_{name}", job_class="ActJob", **labels)

    def values(self) -> dict[Any, float]:
        """Return all values of the file."""
        families = text_string_to_metric_families(self.path.read_text())
        return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


@pytest.fixture
def metrics(instance: Instance, tmp_path: Path) -> Metrics:
    """Return an instance that writes metrics."""
    folder = tmp_path / "textfile"
    folder.mkdir()
    return Metrics(instance, folder)


@pytest.fixture
def events() -> list[Any]:
    """Return what the hook is told."""
    heard.clear()
    return heard


@pytest.mark.feature("LP-33")
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_run_says_what_became_of_its_jobs(metrics: Metrics, runner: str) -> None:
    metrics.configure(section=f"runner_class: {runner}")
    metrics.instance.act(("sleep", 0.2))
    metrics.instance.act(("raise", "value"))
    metrics.instance.act(("raise", "user"))
    metrics.instance.act(("raise", "suspend"))
    metrics.instance.act(("raise", "retry"))  # once more at once, and then it has failed
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
    metrics.configure("metrics_hook: test_metrics:heard.append", f"runner_class: {runner}")
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
def test_what_a_run_leaves_is_counted(metrics: Metrics) -> None:
    metrics.configure(section="max_runtime: 0.001s")
    for priority in (5, 10, 10, 20):
        metrics.instance.act(("sleep", 0.1), priority=priority)
    metrics.instance.act(scheduled_start=datetime.now(UTC) + timedelta(days=1))
    metrics.instance.act(expires_at=datetime.now(UTC) - timedelta(days=1))
    with metrics.instance.session() as session:
        fooapp.DoFooJob.create(metrics.instance.foo(session), session=session)  # of another section
        for row in session.query(Job).where(Job.priority == 20):
            row.date_created = row.scheduled_start = datetime.now(UTC) - timedelta(seconds=500)
    metrics.instance.run("act")
    assert metrics.value("jobcron_ready_jobs") == 3
    oldest = metrics.value("jobcron_oldest_ready_seconds")
    assert oldest is not None
    assert 500 <= oldest < 560


@pytest.mark.feature("LP-33")
@on_sqlite
def test_the_ready_jobs_of_a_source_written_by_hand_are_those_that_it_has_handed_out(metrics: Metrics) -> None:
    metrics.instance.configure(f"metrics_dir: {metrics.folder}")
    with metrics.instance.session() as session:
        from jobcron.testing import use_session

        with use_session(session):
            fooapp.handmade_source.create(metrics.instance.foo(session))
    metrics.instance.run("handmade")
    text = (metrics.folder / "jobcron_handmade.prom").read_text()
    assert 'jobcron_jobs_ended_total{section="handmade",job_class="HandmadeJob",outcome="completed"} 1\n' in text
    assert 'jobcron_ready_jobs{section="handmade"} 0\n' in text


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
    assert f"[jobcron], key metrics_dir: the directory {metrics.folder} not to be one where everybody" in log
    assert status is JobStatus.COMPLETED
    assert metrics.instance.oopses() == []
    metrics.folder.rmdir()
    log, status = outcome()
    assert f"metrics_dir: the directory {metrics.folder} to be there, got: No such file or directory" in log
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
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_hook_is_told_of_jobs_and_runs(metrics: Metrics, events: list[Any], runner: str) -> None:
    metrics.configure("metrics_hook: test_metrics:heard.append", f"runner_class: {runner}")
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
    metrics.configure(f"metrics_hook: test_metrics:{hook}")
    jobs = [metrics.instance.act(("write", "x")) for _ in range(3)]
    log = metrics.instance.run("act")
    assert f"WARNING The metrics_hook test_metrics:{hook} failed: {error}\n" in log
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
        ("test_metrics:heard.nothing", "expected heard.nothing in test_metrics to be a callable, found no"),
        ("test_metrics", "expected module:callable, got: test_metrics"),
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
    metrics.configure("metrics_hook: test_metrics:heard.append")
    monkeypatch.setenv("JOBCRON_CONFIG", str(metrics.instance.path))
    job = fooapp.ActJob.create(metrics.instance.foo(session))
    JobCronScript(test_args=["act"], commandline_config=True).main()
    assert job.status is JobStatus.COMPLETED
    assert events == []
    assert not metrics.path.exists()


names = st.from_regex("[a-z][a-z_]{0,8}", fullmatch=True).filter(lambda name: name != "le")  # a bucket's bound
labels = st.dictionaries(names, st.text(st.characters(codec="utf-8")), max_size=3)


@pytest.mark.feature("LP-33")
@given(
    st.dictionaries(
        labels.map(lambda found: tuple(found.items())), st.floats(allow_nan=False, allow_infinity=False)
    )
)
def test_whatever_is_written_is_read_as_it_was(values: dict[Any, float]) -> None:
    samples = {("some_total", found): value for found, value in values.items()}
    text = exposition([Family("some_total", "counter", "Something.")], samples)
    assert parse(text) == samples
    families = text_string_to_metric_families(text)
    read = [(tuple(s.labels.items()), s.value) for family in families for s in family.samples]
    assert sorted(read) == sorted((found, value) for (_, found), value in samples.items())
