"""A job that moves itself while it runs is obeyed at its end."""

from __future__ import annotations

from typing import Any

import pytest

from fooapp import ActJob
from instances import Instance
from jobcron import InvalidTransition, JobStatus
from steps_jobs import look, make, notes

W, C, F, S, X = (
    JobStatus.WAITING,
    JobStatus.COMPLETED,
    JobStatus.FAILED,
    JobStatus.SUSPENDED,
    JobStatus.CANCELLED,
)
WRITE = ("write", "effect")


@pytest.mark.feature("LP-02", "LP-03")
@pytest.mark.parametrize("verb", ["move", "move_and_commit"])
@pytest.mark.parametrize(
    ("move", "status", "kind"),
    [
        ("suspend", S, "suspended"),
        ("cancel", X, "cancelled"),
        ("complete", C, "completed"),
        ("queue", W, "requeued"),
    ],
)
def test_a_job_that_moves_itself_ends_so_with_its_work_committed(
    instance: Instance, move: str, status: JobStatus, kind: str, verb: str
) -> None:
    job = instance.act(WRITE, (verb, move), ("write", "more"))
    after = instance.act(WRITE)
    log = instance.run("act")
    row = instance.row(job)
    assert (row.status, row.lease_expires) == (status, None)
    assert (row.date_finished is not None) is (status in (C, X))
    assert instance.events(job) == [kind]
    assert instance.ledger(job) == [(job, 1, "effect"), (job, 1, "more")]
    assert instance.row(after).status is C
    assert instance.oopses() == []
    assert f"ActJob (ID {job}) moved itself to {status.title}; its work is committed." in log


@pytest.mark.feature("LP-02")
def test_a_job_that_puts_itself_back_runs_again_afresh(instance: Instance) -> None:
    job = instance.act(WRITE, ("move", "queue"), max_retries=0)
    for _ in range(2):
        instance.run("act")
        instance.make_due()
    assert instance.ledger(job) == [(job, 1, "effect")] * 2
    assert (instance.row(job).status, instance.row(job).attempt_count) == (W, 0)


@pytest.mark.feature("LP-02", "LP-20")
@pytest.mark.parametrize("failure", ["value", "retry", "user"])
def test_a_job_that_moves_itself_and_fails_has_not_moved(instance: Instance, failure: str) -> None:
    job = instance.act(WRITE, ("move", "suspend"), ("raise", failure))
    instance.run("act")
    assert instance.row(job).status is (W if failure == "retry" else F)
    assert "suspended" not in instance.events(job)
    assert instance.ledger(job) == []


@pytest.mark.feature("LP-02", "LP-20")
@pytest.mark.parametrize("move", ["suspend", "complete", "queue"])
def test_a_failure_hook_cannot_move_a_job_that_has_failed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, move: str
) -> None:
    refused: list[str] = []

    def clean_up(job: ActJob, error: BaseException) -> None:
        with pytest.raises(InvalidTransition) as raised:
            getattr(job.job, move)()
        refused.append(str(raised.value))

    monkeypatch.setattr(ActJob, "afterFailure", clean_up, raising=False)
    job = instance.act(("raise", "value"))
    instance.run("act")
    assert [text.startswith("Transition from Failed to ") for text in refused] == [True]
    assert instance.row(job).status is F


@pytest.mark.feature("LP-02")
def test_the_last_of_several_moves_counts(instance: Instance) -> None:
    job = instance.act(("move", "suspend"), ("move", "cancel"))
    instance.run("act")
    assert (instance.row(job).status, instance.events(job)) == (X, ["cancelled"])


@pytest.mark.feature("LP-02", "DBQ-02")
def test_a_job_of_several_tasks_that_moves_itself_ends_with_its_task(steps: Instance) -> None:
    todo: dict[str, Any] = {"first": [("move", "suspend")]}
    job = make(steps, "plain", todo)
    steps.run("plain")
    assert (steps.row(job).status, notes(steps, job)) == (S, ["first"])
    assert look(steps, "plain", job)["next"] == "second"
    with steps.session() as session:
        session.get_one(type(steps.row(job)), job).resume()
    steps.run("plain")
    assert (steps.row(job).status, notes(steps, job)) == (C, ["first", "second", "third"])
