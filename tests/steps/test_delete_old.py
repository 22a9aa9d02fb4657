"""Deleting jobs that have ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances import Instance
from jobcron.database import walk
from jobcron.steps.delete_old import delete_old
from query_cost import noted_statements
from steps_jobs import make


@pytest.mark.feature("DBQ-06")
def test_old_jobs_that_have_ended_are_deleted_and_no_others(steps: Instance) -> None:
    work = {"raise": {"first": [("raise", "no")]}}
    ended = [make(steps, "plain"), make(steps, "plain", work["raise"]), make(steps, "plain")]
    steps.run("plain")
    waiting = make(steps, "plain")
    other = steps.act()  # no job of several tasks
    steps.run("act")
    past = {
        "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-25 hours')",
        "postgresql": "now() - interval '25 hours'",
    }[steps.database.dialect]
    steps.query(f"UPDATE jobcron_job SET date_created = {past} WHERE id != :id", id=ended[2])
    assert steps.command("delete_old_jobs", "--hours", "26")[0] == "Deleted old jobs: 0\n"
    assert steps.command("delete_old_jobs")[0] == "Deleted old jobs: 2\n"
    assert [row.id for row in steps.rows()] == [ended[2], waiting, other]
    assert steps.query("SELECT count(*) FROM jobcron_event") == [(0,)]
    assert steps.command("delete-old-jobs", "--hours", "1")[0] == "Deleted old jobs: 0\n"


@pytest.mark.feature("DBQ-06")
def test_jobs_that_stay_are_passed_once_however_many_are_deleted(
    steps: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "WINDOW", 2)
    stay = [make(steps, "plain", run_after=datetime.now(UTC) + timedelta(hours=1)) for _ in range(4)]
    for _ in range(6):
        make(steps, "plain")
    steps.run("plain")
    past = {"sqlite": "datetime('now', '-25 hours') || '.000000'", "postgresql": "now() - interval '25 hours'"}
    steps.query(f"UPDATE jobcron_job SET date_created = {past[steps.database.dialect]}")
    with noted_statements() as noted:
        assert delete_old(steps.database, 24) == 6
    assert [row.id for row in steps.rows()] == stay
    asked = [(text, values) for text, values in noted if "LIMIT" in text and "jobcron_job" in text]
    assert len(asked) == len(set(map(repr, asked))) == 6  # each window is another one
