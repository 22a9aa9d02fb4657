"""The hooks of jobs of several tasks, and what their errors change."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import stepsapp
from instances import Instance
from jobcron import JobStatus
from steps_jobs import look, make, notes


@pytest.mark.feature("DBQ-07", "DBQ-04")
def test_hooks_are_called_when_a_job_is_made_and_around_each_task(steps: Instance) -> None:
    job_id = make(steps, "hooked")
    steps.run("hooked")
    assert notes(steps, job_id) == [
        "creation",
        "before first PROCESSING",
        "first",
        "after READY",
        "before second PROCESSING",
        "second",
        "after COMPLETE",
    ]
    assert look(steps, "hooked", job_id)["workspace"]["seen"] == notes(steps, job_id)


@pytest.mark.feature("DBQ-07")
def test_a_creation_hook_that_fails_tells_the_creator_and_there_is_no_job(steps: Instance) -> None:
    make(steps, "plain")
    with steps.session() as session:
        from jobcron.steps import create

        foo = steps.foo(session, "kept")
        with pytest.raises(ValueError, match="no token"):
            create("hooked", workspace={"creation": [("raise", "no token")]}, session=session)
        assert foo in session
    assert len(steps.rows()) == 1
    assert steps.query("SELECT name FROM foo") == [("kept",)]
    assert steps.ledger() == []


@pytest.mark.feature("DBQ-07", "DBQ-03")
def test_the_failure_hook_sees_what_the_task_left_and_keeps_what_it_changes(steps: Instance) -> None:
    work = {
        "second": [("set", {"file": "/tmp/half"}), ("raise", "no cat")],
        "after FAILED": [("set", {"told": True})],
    }
    job_id = make(steps, "hooked", work)
    steps.run("hooked")
    # The task's own note, and that of the hook before it, are rolled back.
    assert notes(steps, job_id)[-3:] == ["after READY", "on failure", "after FAILED"]
    found = look(steps, "hooked", job_id)
    assert (found["state"], found["next"]) == ("FAILED", "second")
    assert found["workspace"]["failure"] == ["no cat", "stepsapp.second", "FAILED"]
    assert found["workspace"]["told"] is True
    assert "file" not in found["workspace"]
    assert len(steps.oopses()) == 1


@pytest.mark.feature("DBQ-07")
def test_a_hook_before_a_task_that_fails_is_a_failure_of_the_task(steps: Instance) -> None:
    job_id = make(steps, "hooked", {"before second PROCESSING": [("raise", "not ready")]})
    steps.run("hooked")
    assert notes(steps, job_id)[-3:] == ["after READY", "on failure", "after FAILED"]
    assert look(steps, "hooked", job_id)["workspace"]["failure"][0] == "not ready"
    assert steps.row(job_id).status is JobStatus.FAILED


@pytest.mark.feature("DBQ-07")
@pytest.mark.parametrize("place", ["after READY", "after COMPLETE"])
def test_a_hook_after_a_task_that_fails_is_logged_and_changes_nothing(
    steps: Instance, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = make(steps, "hooked", {place: [("set", {"n": 1}), ("raise", "cannot tidy up")]})
    with caplog.at_level(logging.ERROR):
        steps.run("hooked")
    assert "cannot tidy up" in caplog.text
    found = look(steps, "hooked", job_id)
    assert found["state"] == "COMPLETE"
    assert "n" not in found["workspace"]
    assert place not in notes(steps, job_id)
    assert "second" in notes(steps, job_id)


@pytest.mark.feature("DBQ-07")
def test_a_failure_hook_that_fails_is_logged_and_the_job_has_failed_all_the_same(
    steps: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = make(steps, "hooked", {"first": [("raise", "one")], "on failure": [("raise", "two")]})
    other = make(steps, "hooked")
    with caplog.at_level(logging.ERROR):
        steps.run("hooked")
    assert "The failure_hook of <Hooked job" in caplog.text
    assert steps.row(job_id).status is JobStatus.FAILED
    assert "ValueError: one" in (steps.row(job_id).log or "")
    assert notes(steps, job_id) == ["creation", "after FAILED"]
    assert steps.row(other).status is JobStatus.COMPLETED


@pytest.mark.feature("DBQ-07")
def test_no_failure_hook_is_called_for_a_task_that_is_tried_again(
    steps: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobcron import RetryableJobError

    tries: list[int] = []

    def patient(job: Any) -> None:
        tries.append(job.attempt_count)
        if len(tries) == 1:
            raise RetryableJobError("not yet", seconds=0)

    monkeypatch.setattr(stepsapp.Hooked, "tasks", [stepsapp.first, patient])
    job_id = make(steps, "hooked", max_retries=1)
    steps.run("hooked")
    steps.make_due()
    steps.run("hooked")
    assert look(steps, "hooked", job_id)["state"] == "COMPLETE"
    assert tries == [1, 2]
    assert "on failure" not in notes(steps, job_id)
    assert notes(steps, job_id).count("first") == 1


@pytest.mark.feature("DBQ-07")
def test_a_task_that_takes_too_long_is_a_failure_with_its_hook(
    steps: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time
    from datetime import timedelta

    def slow(job: Any) -> None:
        stepsapp.note(job, "slow")
        time.sleep(60)

    monkeypatch.setattr(stepsapp.Hooked, "tasks", [stepsapp.first, slow])
    monkeypatch.setattr(stepsapp.Hooked, "time_limit", timedelta(seconds=0.5))
    job_id = make(steps, "hooked")
    steps.run("hooked")
    assert steps.row(job_id).status is JobStatus.FAILED
    assert "slow" not in notes(steps, job_id)
    assert "on failure" in notes(steps, job_id)
