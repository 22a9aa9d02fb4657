"""The loop over ready jobs, as a program may use it without a script."""

from __future__ import annotations

from typing import Any

import pytest

from fooapp import ActJob, DoFooJob
from instances import Instance
from jobcron import JobRunner, JobStatus
from jobcron.testing import BufferLogger


def test_ready_jobs_are_run_until_none_is_left_and_counted_by_class(instance: Instance) -> None:
    good = [instance.act(("write", "x")) for _ in range(3)]
    bad = instance.act(("raise", "broken"))
    runner = JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    assert (runner.completed, runner.incomplete) == ({"ActJob": 3}, {"ActJob": 1})
    assert [instance.row(job).status for job in good] == [JobStatus.COMPLETED] * 3
    assert instance.row(bad).status is JobStatus.FAILED


def test_jobs_of_other_sources_are_left_alone(instance: Instance) -> None:
    with instance.session() as session:
        other = DoFooJob.create(instance.foo(session), session=session).job.id
    JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    assert instance.row(other).status is JobStatus.WAITING


def test_a_job_that_is_made_while_others_run_is_run_as_well(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def run(job: Any) -> None:
        if not made:
            made.append(instance.act())

    monkeypatch.setattr(ActJob, "run", run)
    first = instance.act()
    JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    assert [instance.row(job).status for job in (first, *made)] == [JobStatus.COMPLETED] * 2


def test_a_run_that_is_told_to_end_starts_nothing_more_and_releases_what_it_has_claimed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = JobRunner.for_source(ActJob, instance.database, BufferLogger())
    assert isinstance(runner, JobRunner)
    ran: list[int] = []

    def run(job: Any) -> None:
        ran.append(job.job.id)
        if len(ran) == 2:
            runner.end()

    monkeypatch.setattr(ActJob, "run", run)
    jobs = [instance.act() for _ in range(6)]
    runner.runAll()
    assert ran == jobs[:2]
    rest = [instance.row(job) for job in jobs[2:]]
    assert {(row.status, row.attempt_count, row.lease_expires) for row in rest} == {(JobStatus.WAITING, 0, None)}
