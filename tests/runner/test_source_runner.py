"""What all runners have: limits and leases as the source says, and what else accompanies their jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from fooapp import ActJob
from instances import Instance
from jobcron import JobRunner
from jobcron.interfaces import DEFAULT_LEASE_SECONDS
from jobcron.queue.views import RunnableView
from jobcron.runner.source_runner import Guard, JobEnd
from jobcron.testing import BufferLogger


class Diary(Guard):
    """Notes what happens."""

    def __init__(self) -> None:
        self.entries: list[object] = []
        self.ends: list[JobEnd] = []

    def run_begins(self) -> None:
        """Note it."""
        self.entries.append("run begins")

    def job_begins(self) -> None:
        """Note it."""
        self.entries.append("job begins")

    @contextmanager
    def around(self, job: RunnableView) -> Iterator[None]:
        """Note it."""
        self.entries.append(f"in {job.class_name}")
        yield
        self.entries.append("out")

    def job_returned(self, *, cleans_up: bool) -> None:
        """Note it."""
        self.entries.append(f"over, cleans up: {cleans_up}")

    def job_ended(self, end: JobEnd) -> None:
        """Note it."""
        self.entries.append(end.outcome.kind)
        self.ends.append(end)


def run(instance: Instance, guard: Guard) -> JobRunner:
    """Run the ready jobs, accompanied."""
    runner = JobRunner(ActJob, instance.database, logger=BufferLogger(), guard=guard)
    runner.runAll()
    return runner


def test_a_guard_is_told_of_each_step_of_a_job(instance: Instance) -> None:
    number, diary = instance.act(), Diary()
    run(instance, diary)
    assert diary.entries == [
        "run begins",
        "job begins",
        "in ActJob",
        "out",
        "over, cleans up: False",
        "completed",
    ]
    (end,) = diary.ends
    assert (end.claim.id, end.oops_ids) == (number, [])
    assert end.seconds >= 0


def test_a_guard_is_around_the_clean_up_as_well(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActJob, "afterFailure", lambda job, error: None, raising=False)
    instance.act(("raise", "value"))
    diary = Diary()
    runner = run(instance, diary)
    assert diary.entries[2:] == ["in ActJob", "over, cleans up: True", "in ActJob", "out", "failed"]
    assert diary.ends[0].oops_ids == runner.oops_ids
    assert len(runner.oops_ids) == 1


def test_a_guard_that_says_nothing_changes_nothing(instance: Instance) -> None:
    instance.act()
    assert run(instance, Guard()).completed == {"ActJob": 1}


def test_a_lease_lasts_as_long_as_the_source_says(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActJob, "lease_duration", timedelta(seconds=77))
    assert JobRunner(ActJob, instance.database).lease_seconds == 77
    monkeypatch.setattr(ActJob, "lease_duration", None)
    assert JobRunner(ActJob, instance.database).lease_seconds == DEFAULT_LEASE_SECONDS
