"""Feeds: whatever the source, they hand out each ready job once, and claimed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feeds import feed_of, make, take
from fooapp import ActJob, OwnReadyJob
from instances import Instance
from jobcron import JobStatus


def taken_until_there_is_none(instance: Instance, job_class: Any) -> list[int]:
    """Return the jobs that a feed hands out, in its order."""
    feed, found = feed_of(instance, job_class), []
    while jobs := take(instance, feed):
        found += jobs
    return found


@pytest.mark.parametrize("job_class", [ActJob, OwnReadyJob])
def test_each_ready_job_is_handed_out_once_and_claimed(instance: Instance, job_class: Any) -> None:
    jobs = make(instance, job_class, 3)
    (later,) = make(instance, job_class, 1, scheduled_start=datetime.now(UTC) + timedelta(days=1))
    assert sorted(taken_until_there_is_none(instance, job_class)) == jobs
    assert [(row.status, row.claimed_by, row.lease_token) for row in map(instance.row, jobs)] == [
        (JobStatus.RUNNING, "a test", 1)
    ] * 3
    assert instance.row(later).status is JobStatus.WAITING
    assert taken_until_there_is_none(instance, job_class) == []


@pytest.mark.parametrize("job_class", [ActJob, OwnReadyJob])
def test_a_job_of_another_source_is_left_alone(instance: Instance, job_class: Any) -> None:
    (other,) = make(instance, OwnReadyJob if job_class is ActJob else ActJob, 1)
    assert taken_until_there_is_none(instance, job_class) == []
    assert instance.row(other).status is JobStatus.WAITING


def test_a_source_with_its_own_iter_ready_decides_the_order(instance: Instance) -> None:
    ordinary, own = make(instance, ActJob, 3), make(instance, OwnReadyJob, 3)
    assert taken_until_there_is_none(instance, ActJob) == ordinary
    assert taken_until_there_is_none(instance, OwnReadyJob) == own[::-1]
