"""Walking a table by its numbers: window by window, no further than there is something old."""

from __future__ import annotations

from typing import Any

import pytest

from instances import Instance
from jobcron import Job
from jobcron.database import walk


@pytest.fixture
def numbers(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of seven jobs; three fit into a window."""
    monkeypatch.setattr(walk, "WINDOW", 3)
    return [instance.act() for _ in range(7)]


def windows(instance: Instance, is_old: Any, **options: Any) -> list[list[int]]:
    found = walk.windows(instance.database, Job, [Job.id], is_old, **options)
    return [[row.id for row in rows] for rows in found]


def test_each_row_is_yielded_once_in_the_order_of_the_numbers(instance: Instance, numbers: list[int]) -> None:
    assert windows(instance, lambda row: True) == [numbers[:3], numbers[3:6], numbers[6:]]


def test_the_walk_ends_where_no_row_of_a_window_is_old(instance: Instance, numbers: list[int]) -> None:
    assert windows(instance, lambda row: row.id <= numbers[1]) == [numbers[:3]]
    assert windows(instance, lambda row: row.id == numbers[4]) == []


def test_the_walk_ends_when_the_run_is_asked_to_stop(instance: Instance, numbers: list[int]) -> None:
    asked: list[None] = []

    def is_stopping() -> bool:
        asked.append(None)
        return len(asked) > 1

    assert windows(instance, lambda row: True, is_stopping=is_stopping) == [numbers[:3]]


def test_rows_that_are_removed_meanwhile_hold_nothing_up(instance: Instance, numbers: list[int]) -> None:
    seen = []
    for rows in walk.windows(instance.database, Job, [Job.id], lambda row: True):
        seen += [row.id for row in rows]
        instance.query("DELETE FROM foo_job WHERE job <= :last", last=rows[-1].id)
        instance.query("DELETE FROM jobcron_job WHERE id <= :last", last=rows[-1].id)
    assert seen == numbers
