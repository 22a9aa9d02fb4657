"""What a new job of several tasks is given is checked where it is made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

import stepsapp
from instances import Instance
from jobcron import InvalidJobData, UnknownJobType
from jobcron.steps import create
from steps_jobs import look, make


@pytest.mark.feature("DBQ-01", "DBQ-03")
def test_what_does_not_fit_is_refused_when_the_job_is_made(steps: Instance) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"workspace": [1]}, "the workspace of plain to be a dict, got list"),
        ({"workspace": {"a": {1}}}, r"the workspace of plain\['a'\] to be JSON"),
        ({"priority": "high"}, "priority to be a whole number from .*, got str"),
        ({"priority": 2**31}, "priority to be a whole number from .*, got int: 2147483648"),
        ({"queue_name": 5}, "queue_name to be a letter, then letters, digits, _ and -, 64 at most, got int: 5"),
        ({"queue_name": None}, "queue_name to be a letter, .* got NoneType"),
        ({"run_after": datetime(2026, 1, 1)}, "run_after to be a datetime with a time zone"),
        ({"colour": "red"}, "expected names that Plain knows"),
    ]
    with steps.session() as session:
        for values, message in wrong:
            with pytest.raises(InvalidJobData, match=message):
                create("plain", session=session, **values)
        with pytest.raises(UnknownJobType, match="steps.nothing"):
            create("nothing", session=session)
    assert steps.rows() == []


@pytest.mark.feature("DBQ-03")
def test_a_task_that_puts_what_is_no_json_into_the_workspace_has_failed(steps: Instance) -> None:
    job_id = make(steps, "plain", {"second": [("set", {"n": 1})]})
    original = stepsapp.third
    try:
        stepsapp.third = lambda job: job.workspace.update(n=object())
        steps.run("plain")
    finally:
        stepsapp.third = original
    assert look(steps, "plain", job_id)["state"] == "FAILED"
    assert "expected the workspace of plain['n'] to be JSON" in (steps.row(job_id).log or "")
