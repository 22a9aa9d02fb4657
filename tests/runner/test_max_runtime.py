"""``max_runtime``: a run starts nothing that will not end in time."""

from __future__ import annotations

import re

import pytest

from instances import Instance
from jobcron import JobStatus

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def with_max_runtime(instance: Instance, max_runtime: str, section: str = "act", source: str = "ActJob") -> None:
    """Let the section have a max_runtime."""
    instance.configure(
        sections=f"[{section}]\nsource_interface: fooapp.{source}\nmax_runtime: {max_runtime}\nbatch_size: 50\n"
    )


@pytest.mark.feature("LP-17")
def test_a_run_starts_nothing_that_will_not_end_in_time(instance: Instance) -> None:
    with_max_runtime(instance, "4s")
    jobs = [instance.act(("sleep", 1.6), ("write", "x")) for _ in range(5)]
    log = instance.run("act")
    assert re.search(
        r"INFO    Another job may not end within max_runtime, 4 seconds, of which 3\.[2-9] are over: "
        r"what is left waits for the next run\.",
        log,
    )
    statuses = [instance.row(job).status for job in jobs]
    assert statuses == [JobStatus.COMPLETED] * 2 + [JobStatus.WAITING] * 3
    assert [instance.row(job).attempt_count for job in jobs] == [1, 1, 0, 0, 0]
    instance.run("act")
    assert [instance.row(job).status for job in jobs].count(JobStatus.COMPLETED) == 4


@pytest.mark.feature("LP-17")
def test_what_was_claimed_and_not_started_goes_back(instance: Instance) -> None:
    with_max_runtime(instance, "1s")
    quick = [instance.act(("write", "x")) for _ in range(5)]
    slow = [instance.act(("sleep", 1.1), ("write", "x")) for _ in range(5)]
    log = instance.run("act")
    assert "Another job may not end" in log
    assert {instance.row(job).status for job in quick} == {JobStatus.COMPLETED}
    statuses = [instance.row(job).status for job in slow]
    assert statuses == [JobStatus.COMPLETED] + [JobStatus.WAITING] * 4
    assert [instance.row(job).attempt_count for job in slow[1:]] == [0] * 4


@pytest.mark.feature("LP-17")
def test_jobs_that_take_longer_than_a_run_may_are_run_one_by_one(instance: Instance) -> None:
    with_max_runtime(instance, "0.01s")
    jobs = [instance.act(("sleep", 0.1), ("write", "x")) for _ in range(2)]
    for done in (1, 2):
        instance.run("act")
        assert [instance.row(job).status for job in jobs].count(JobStatus.COMPLETED) == done


@pytest.mark.feature("LP-17")
@pytest.mark.parametrize("runner_class", ["JobRunner", "ProcessJobRunner"])
def test_what_jobs_took_in_earlier_runs_counts_before_this_one_knows_better(
    instance: Instance, runner_class: str
) -> None:
    instance.act(("sleep", 2))
    instance.run("act")
    with_max_runtime(instance, f"1s\nrunner_class: {runner_class}")
    jobs = [instance.act(("write", "x")) for _ in range(2)]
    assert "Another job may not end within max_runtime" in instance.run("act")
    assert [instance.row(job).status for job in jobs] == [JobStatus.COMPLETED, JobStatus.WAITING]


@pytest.mark.feature("LP-17")
@on_sqlite
def test_without_max_runtime_nothing_is_left(instance: Instance) -> None:
    jobs = [instance.act(("sleep", 0.1)) for _ in range(3)]
    assert "max_runtime" not in instance.run("act")
    assert {instance.row(job).status for job in jobs} == {JobStatus.COMPLETED}


@pytest.mark.feature("LP-24")
def test_isolated_jobs_obey_max_runtime_as_well(instance: Instance) -> None:
    with_max_runtime(instance, "1s")
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("max_runtime", "runner_class: ProcessJobRunner\nmax_runtime"))
    jobs = [instance.act(("sleep", 1.1), ("write", "x")) for _ in range(2)]
    log = instance.run("act")
    assert log.count("Another job may not end") == 1
    assert [instance.row(job).status for job in jobs] == [JobStatus.COMPLETED, JobStatus.WAITING]
