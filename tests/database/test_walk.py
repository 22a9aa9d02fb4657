"""Walking a table by its numbers, a window at a time."""

from __future__ import annotations

import pytest

from instances import Instance
from jobcron import Job, JobStatus
from jobcron.database import walk
from jobcron.database.walk import WalkedRow, windows
from jobcron.testing import JobFactory


@pytest.fixture
def jobs(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of seven jobs, of which the fourth is the last that has ended; windows hold two."""
    monkeypatch.setattr(walk, "WINDOW", 2)
    statuses = [JobStatus.COMPLETED, JobStatus.WAITING, JobStatus.WAITING, JobStatus.FAILED]
    with instance.session() as session:
        factory = JobFactory(session)
        return [factory.makeJob(status).id for status in (*statuses, *[JobStatus.WAITING] * 3)]


def has_ended(row: WalkedRow) -> bool:
    """Tell whether a row is to be found."""
    return row.status not in (JobStatus.WAITING, JobStatus.RUNNING)


def test_windows_are_walked_as_long_as_each_has_one_that_is_old(instance: Instance, jobs: list[int]) -> None:
    found = [
        [row.id for row in rows]
        for rows in windows(instance.database, Job.id, [Job._status.label("status")], has_ended)
    ]
    assert found == [jobs[:2], jobs[2:4]]


def test_rows_that_are_removed_on_the_way_make_it_pass_over_none(instance: Instance, jobs: list[int]) -> None:
    found = []
    for rows in windows(instance.database, Job.id, [Job._status.label("status")], has_ended):
        found += [row.id for row in rows]
        instance.query("DELETE FROM jobcron_job WHERE id = :id", id=rows[0].id)
    assert found == jobs[:4]


def test_a_walk_that_is_asked_to_stop_ends_between_two_windows(instance: Instance, jobs: list[int]) -> None:
    found: list[int] = []
    for rows in windows(instance.database, Job.id, [Job._status.label("status")], has_ended, lambda: bool(found)):
        found.extend(row.id for row in rows)
    assert found == jobs[:2]


def test_an_empty_table_has_no_window(instance: Instance) -> None:
    assert list(windows(instance.database, Job.id, [Job._status.label("status")], has_ended)) == []
