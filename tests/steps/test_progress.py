"""What a job of several tasks has done is known by name, and nobody but its run can change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import stepsapp
from instances import Instance
from jobcron import JobStatus, RetryableJobError
from jobcron.errors import ChangedMeanwhile
from jobcron.steps import StepsJob, job_class
from steps_jobs import look, make, notes

SAMPLES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "samples" / "version-1.json").read_text())


def load(steps: Instance, session: Any, job_id: int) -> Any:
    return job_class("plain").get(job_id, session=session)


def write_row(steps: Instance, job_id: int, data: object, own: object = None) -> None:
    """Give a row the data of the user, and what jobcron writes in a column of its own."""
    steps.query(
        "UPDATE jobcron_job SET json_data = :data, steps = :own WHERE id = :id",
        data=json.dumps(data),
        own=None if own is None else json.dumps(own),
        id=job_id,
    )


def run_now(steps: Instance) -> None:
    """Run what waits, whenever it is due."""
    steps.query("UPDATE jobcron_job SET scheduled_start = date_created")
    steps.run("plain")


class Stops:
    """Runs jobs whose task `second` asks to be tried again, a number of times."""

    def __init__(self, steps: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps, self.monkeypatch = steps, monkeypatch
        self.times = 1

    def second(self, job: Any) -> None:
        stepsapp.note(job, "second")
        if self.times:
            self.times -= 1
            raise RetryableJobError("not yet", seconds=3600)

    def run_until_second(self, *names: str) -> int:
        """Run a job that waits before its second task; return its number."""
        self.define("first", *(names or ("second", "third")))
        job_id = make(self.steps, "plain", max_retries=5)
        self.steps.run("plain")
        return job_id

    def define(self, *names: str) -> None:
        """Define the tasks."""
        tasks = [self.task_named(name) for name in names]
        self.monkeypatch.setattr(stepsapp.Plain, "tasks", tasks)

    def task_named(self, name: str) -> Any:
        def task(job: Any) -> None:
            self.second(job) if name == "second" else stepsapp.note(job, name)

        task.__module__, task.__qualname__ = "stepsapp", name
        return task

    def go_on(self, job_id: int) -> list[str]:
        """Run the job again, and return what its tasks have done."""
        run_now(self.steps)
        return notes(self.steps, job_id)


@pytest.fixture
def stops(steps: Instance, monkeypatch: pytest.MonkeyPatch) -> Stops:
    """Return what runs jobs that stop before their second task."""
    return Stops(steps, monkeypatch)


@pytest.mark.feature("DBQ-02")
@pytest.mark.parametrize(
    ("now", "done"),
    [
        (["second", "first"], ["first", "second"]),  # change places
        (["second", "first", "third"], ["first", "second", "third"]),
        (["third", "first", "second"], ["first", "third", "second"]),  # one comes to the front, and is not lost
        (["new", "first", "second"], ["first", "second"]),  # a new one that would have been passed
        (["first", "second", "new"], ["first", "second", "new"]),
        (["second"], ["first", "second"]),  # one that is done is removed
        (["renamed", "second", "third"], ["first", "second", "third"]),  # or renamed: it is not done again
        (["first", "second", "second"], ["first", "second", "second"]),
        (["first", "first", "second"], ["first", "second"]),
    ],
)
def test_a_task_that_is_done_is_not_done_again_wherever_it_is_moved(
    steps: Instance, stops: Stops, now: list[str], done: list[str]
) -> None:
    job_id = stops.run_until_second(*(name for name in ("second", "third") if name in now))
    assert notes(steps, job_id) == ["first"]
    stops.define(*now)
    assert stops.go_on(job_id) == done
    found = look(steps, "plain", job_id)
    assert (found["state"], found["next"]) == ("COMPLETE", "")


@pytest.mark.feature("DBQ-02")
def test_a_job_that_has_not_begun_follows_its_definition(steps: Instance, stops: Stops) -> None:
    job_id = make(steps, "plain")
    stops.define("before", "third", "second", "first")
    stops.times = 0
    assert stops.go_on(job_id) == ["before", "third", "second", "first"]


@pytest.mark.feature("DBQ-02", "DBQ-03")
def test_a_workspace_that_is_saved_by_others_while_a_job_is_under_way_changes_no_progress(
    steps: Instance, stops: Stops
) -> None:
    stops.define("first", "second", "third")
    job_id = make(steps, "plain", max_retries=5)
    with steps.database.session() as session:
        job = load(steps, session, job_id)
        job.workspace["asked"] = True
        session.commit()  # the request is slow: now the job runs
        steps.run("plain")
        assert notes(steps, job_id) == ["first"]
        with pytest.raises(ChangedMeanwhile, match="not to have run since its workspace was read"):
            job.save()
        session.rollback()
        again = load(steps, session, job_id)
        again.workspace["asked"] = True
        again.save()
        session.commit()
    assert look(steps, "plain", job_id)["state"] == "READY"
    assert stops.go_on(job_id) == ["first", "second", "third"]
    assert look(steps, "plain", job_id)["workspace"]["asked"] is True


@pytest.mark.feature("DBQ-02", "DBQ-03")
def test_nobody_else_writes_the_workspace_or_the_next_task_of_a_job_that_runs(
    steps: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(job: Any) -> None:
        with steps.database.session(writing=False) as session:
            other = load(steps, session, job.id)
            other.workspace["asked"] = True
            for write in (other.save, lambda: setattr(other, "next_task", "stepsapp.second")):
                try:
                    write()
                except Exception as error:  # on SQLite nobody else writes while a job does
                    refused.append(type(error).__name__)

    refused: list[str] = []
    monkeypatch.setattr(stepsapp.Plain, "tasks", [ask, stepsapp.second])
    job_id = make(steps, "plain")
    steps.run("plain")
    assert len(refused) == 2
    if steps.database.dialect == "postgresql":
        assert refused == ["ChangedMeanwhile"] * 2
    assert steps.row(job_id).status is JobStatus.COMPLETED
    assert "asked" not in look(steps, "plain", job_id)["workspace"]


@pytest.mark.feature("DBQ-02", "DBQ-03")
@pytest.mark.parametrize("way", ["checkpoint", "commit"])
def test_a_task_that_commits_on_the_way_takes_its_workspace_along(
    steps: Instance, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def work(job: StepsJob) -> None:
        done = job.workspace.setdefault("done", [])
        for item in range(4):
            if item not in done:
                stepsapp.note(job, f"item {item}")
                done.append(item)
                job.checkpoint() if way == "checkpoint" else job.session.commit()
            if item == 1 and job.attempt_count == 1:
                stepsapp.note(job, "undone")
                done.append("undone")
                raise RetryableJobError("the machine is tired", seconds=0)

    monkeypatch.setattr(stepsapp.Plain, "tasks", [stepsapp.first, work])
    job_id = make(steps, "plain", max_retries=2)
    steps.run("plain")
    run_now(steps)
    assert steps.row(job_id).status is JobStatus.COMPLETED
    assert notes(steps, job_id) == ["first", *(f"item {item}" for item in range(4))]
    assert look(steps, "plain", job_id)["workspace"]["done"] == [0, 1, 2, 3]


@pytest.mark.feature("DBQ-02", "DBQ-07")
def test_a_hook_that_commits_after_the_last_task_does_not_make_the_job_begin_again(
    steps: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after(job: Any) -> None:
        job.workspace["told"] = True
        job.checkpoint()

    def run(job: Any) -> None:
        original(job)
        if job.attempt_count == 1:
            raise RetryableJobError("stopped before COMPLETED", seconds=0)

    monkeypatch.setattr(stepsapp.Plain, "post_task_hook", staticmethod(after))
    monkeypatch.setattr(stepsapp.Plain, "tasks", [stepsapp.first])
    original = stepsapp.Plain.run
    monkeypatch.setattr(stepsapp.Plain, "run", run)
    job_id = make(steps, "plain", max_retries=2)
    steps.run("plain")
    run_now(steps)
    assert steps.row(job_id).status is JobStatus.COMPLETED
    assert notes(steps, job_id) == ["first"]
    assert look(steps, "plain", job_id)["workspace"]["told"] is True


@pytest.mark.feature("DBQ-02")
@pytest.mark.parametrize("way", ["commit", "checkpoint", "move"])
def test_what_commits_after_the_last_task_takes_the_progress_and_the_workspace_along(
    steps: Instance, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def run(job: Any) -> None:
        original(job)
        if job.attempt_count > 1 or way in job.workspace:
            return
        job.workspace[way] = True
        if way == "move":
            job.queue()
            return
        job.session.commit() if way == "commit" else job.checkpoint()
        raise RetryableJobError("stopped before COMPLETED", seconds=0)

    original = stepsapp.Plain.run
    monkeypatch.setattr(stepsapp.Plain, "run", run)
    job_id = make(steps, "plain", max_retries=2)
    for _ in range(2):
        steps.run("plain")
        run_now(steps)
    assert steps.row(job_id).status is JobStatus.COMPLETED
    assert notes(steps, job_id) == ["first", "second", "third"]
    workspace = look(steps, "plain", job_id)["workspace"]
    assert workspace["seen"] == ["first", "second", "third"]
    assert workspace[way] is True


@pytest.mark.feature("DBQ-02")
def test_a_job_that_has_ended_and_is_requeued_begins_with_its_first_task(steps: Instance) -> None:
    job_id = make(steps, "plain")
    for _ in range(2):
        steps.run("plain")
        with steps.session() as session:
            load(steps, session, job_id).queue()
    assert notes(steps, job_id) == ["first", "second", "third"] * 2


@pytest.mark.feature("DBQ-03")
def test_the_users_data_is_free_for_names_that_jobs_of_several_tasks_use(steps: Instance) -> None:
    data = {"step": 7, "next_task": "mine", "workspace": ["mine"]}
    job_id = make(steps, "plain", {"n": 1}, metadata=data)
    steps.run("plain")
    assert steps.row(job_id).json_data == data
    assert look(steps, "plain", job_id)["workspace"] == {"n": 1, "seen": ["first", "second", "third"]}


@pytest.mark.feature("DBQ-02", "DBQ-03")
@pytest.mark.parametrize("sample", SAMPLES, ids=[sample["is"] for sample in SAMPLES])
def test_rows_of_the_first_version_are_read_and_go_on(steps: Instance, sample: dict[str, Any]) -> None:
    job_id = make(steps, "plain")
    write_row(steps, job_id, sample["data"])
    found = look(steps, "plain", job_id)
    assert (found["state"], found["next"]) == (sample["state"], sample["next"])
    assert json.loads(json.dumps(found["workspace"])) == sample["workspace"]
    with steps.session() as session:  # what others save leaves the progress as it is
        job = load(steps, session, job_id)
        job.workspace["saved"] = True
        job.save()
    steps.run("plain")
    assert notes(steps, job_id) == sample["runs"]
    found = look(steps, "plain", job_id)
    assert (found["state"], found["next"], found["workspace"]["saved"]) == ("COMPLETE", "", True)


@pytest.mark.feature("DBQ-02")
def test_a_row_of_the_first_version_loses_what_is_now_in_its_own_column(steps: Instance) -> None:
    job_id = make(steps, "plain")
    data = {"step": 1, "next_task": "stepsapp.second", "workspace": {"n": 1}, "colour": "red"}
    write_row(steps, job_id, data)
    steps.run("plain")
    row = steps.row(job_id)
    assert row.json_data == {"colour": "red"}
    assert row.steps is not None
    assert row.steps["workspace"] == {"n": 1, "seen": ["second", "third"]}


OWN = {"version": 2, "done": [], "todo": [], "workspace": {}}


@pytest.mark.feature("DBQ-02", "DBQ-03")
@pytest.mark.parametrize(
    ("data", "own", "told"),
    [
        ({"workspace": [1]}, None, "InvalidJobData: expected the workspace of <Hooked job"),
        ({"step": 7, "next_task": "stepsapp.third"}, None, "MissingCode: expected stepsapp.third"),
        ({"step": "x", "next_task": [5]}, None, "MissingCode: expected [5] among the tasks"),
        ({}, {**OWN, "workspace": [1]}, "InvalidJobData: expected the workspace of <Hooked job"),
        ({}, {**OWN, "done": ["stepsapp.first"], "todo": ["gone"]}, "MissingCode: expected gone among"),
        ({}, {**OWN, "done": "stepsapp.first"}, "InvalidJobData: expected done of <Hooked job"),
        ({}, {**OWN, "todo": [5]}, "InvalidJobData: expected todo of <Hooked job"),
        ({}, {**OWN, "version": 3}, "a newer version has written it"),
        ({}, {}, "a newer version has written it"),
    ],
)
def test_a_row_that_is_broken_fails_clearly_and_alone(
    steps: Instance, data: dict[str, Any], own: dict[str, Any] | None, told: str
) -> None:
    configured = (steps.path / "jobcron.conf").read_text().replace("[hooked]", "[hooked]\nwait_for_code: 0s")
    (steps.path / "jobcron.conf").write_text(configured)
    broken, other = make(steps, "hooked"), make(steps, "hooked")
    write_row(steps, broken, data, own)
    steps.run("hooked")
    row = steps.row(broken)
    assert row.status is JobStatus.FAILED
    assert told in (row.log or "")
    assert len(steps.oopses()) == 1
    assert look(steps, "hooked", other)["state"] == "COMPLETE"
