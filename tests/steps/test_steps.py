"""Jobs of several tasks: their order, transactions, workspace, states, and what is left of them after a crash."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from instances import Instance, wait_until
from jobcron import DefinitionChanged, JobStatus
from jobcron.steps import State, create, job_class
from steps_jobs import look, make, notes


@pytest.mark.feature("DBQ-01", "DBQ-02", "DBQ-04")
@pytest.mark.parametrize("name", ["plain", "configured"])
def test_tasks_run_in_order_and_the_job_completes(steps: Instance, name: str) -> None:
    job_id = make(steps, name)
    assert look(steps, name, job_id)["state"] == "NEW"
    assert look(steps, name, job_id)["next"] == "first"
    steps.run(name)
    made = ["creation"] if name == "configured" else []
    done = ["first", "second"] + (["third"] if name == "plain" else [])
    assert notes(steps, job_id) == made + done
    found = look(steps, name, job_id)
    assert found == {"state": "COMPLETE", "next": "", "workspace": {"seen": made + done}, "counts": (1, 0)}


@pytest.mark.feature("DBQ-03")
def test_the_workspace_reaches_the_next_task_and_the_database_can_be_asked_for_it(steps: Instance) -> None:
    job_id = make(steps, "plain", {"account": 7, "first": [("set", {"message": "Hello, task 2!"})]})
    make(steps, "plain", {"account": 8})
    steps.run("plain")
    assert look(steps, "plain", job_id)["workspace"]["message"] == "Hello, task 2!"
    path = {
        "sqlite": "json_extract(steps, '$.workspace.account') = 7",
        "postgresql": "steps #>> '{workspace,account}' = '7'",
    }[steps.database.dialect]
    assert steps.query(f"SELECT id FROM jobcron_job WHERE {path}") == [(job_id,)]


@pytest.mark.feature("DBQ-03")
def test_a_workspace_that_is_changed_outside_a_task_is_kept_by_save(steps: Instance) -> None:
    job_id = make(steps, "plain")
    with steps.session() as session:
        job = job_class("plain").get(job_id, session=session)
        job.workspace["deep"] = {"list": [1]}
        job.save()
        job.workspace["deep"]["list"].append(2)
        job.save()
    assert look(steps, "plain", job_id)["workspace"] == {"deep": {"list": [1, 2]}}


@pytest.mark.feature("DBQ-02", "DBQ-04")
def test_a_task_that_fails_is_rolled_back_alone_and_a_requeued_job_goes_on_with_it(steps: Instance) -> None:
    job_id = make(steps, "plain", {"second": [("set", {"half": "done"}), ("raise", "no cat")]})
    assert "resulted in OOPS" in steps.run("plain")
    assert notes(steps, job_id) == ["first"]
    found = look(steps, "plain", job_id)
    assert (found["state"], found["next"], found["workspace"]["seen"]) == ("FAILED", "second", ["first"])
    assert "half" not in found["workspace"]
    assert len(steps.oopses()) == 1
    with steps.session() as session:
        job = job_class("plain").get(job_id, session=session)
        job.workspace["second"] = []
        job.save()
        job.queue()
    assert look(steps, "plain", job_id)["state"] == "READY"
    steps.run("plain")
    assert notes(steps, job_id) == ["first", "second", "third"]
    assert look(steps, "plain", job_id)["state"] == "COMPLETE"


@pytest.mark.feature("DBQ-02")
def test_a_process_that_dies_in_a_task_leaves_a_job_that_goes_on_with_that_task_once(
    steps: Instance, tmp_path: Path
) -> None:
    job_id = make(steps, "plain", {"second": [("die", [str(tmp_path / "deaths"), 1])]})
    run = steps.start("plain")
    assert run.wait(60) == -signal.SIGKILL
    run.communicate()
    assert notes(steps, job_id) == ["first"]
    found = look(steps, "plain", job_id)
    assert (found["state"], found["next"]) == ("PROCESSING", "second")  # where it stayed for ever
    steps.end_lease(job_id)
    steps.run("plain")
    assert notes(steps, job_id) == ["first", "second", "third"]
    assert look(steps, "plain", job_id)["state"] == "COMPLETE"
    assert steps.oopses() == []


@pytest.mark.feature("DBQ-02")
def test_deaths_and_attempts_are_counted_for_each_task(steps: Instance, tmp_path: Path) -> None:
    work = {place: [("die", [str(tmp_path / place), 2])] for place in ("first", "second", "third")}
    job_id = make(steps, "plain", work)
    for _ in range(6):
        run = steps.start("plain")
        assert run.wait(60) == -signal.SIGKILL
        run.communicate()
        steps.end_lease(job_id)
    steps.run("plain")
    found = look(steps, "plain", job_id)
    assert (found["state"], found["counts"]) == ("COMPLETE", (3, 2))  # the third task's alone
    assert notes(steps, job_id) == ["first", "second", "third"]


@pytest.mark.feature("DBQ-02", "DBQ-07")
def test_a_task_that_kills_its_process_each_time_is_stopped_and_no_hook_is_called(
    steps: Instance, tmp_path: Path
) -> None:
    job_id = make(steps, "hooked", {"second": [("die", [str(tmp_path / "deaths"), 100])]})
    for _ in range(3):
        run = steps.start("hooked")
        assert run.wait(60) == -signal.SIGKILL
        run.communicate()
        steps.end_lease(job_id)
    steps.run("hooked")
    assert look(steps, "hooked", job_id)["state"] == "FAILED"
    assert "on failure" not in notes(steps, job_id)
    assert len(steps.oopses()) == 1


@pytest.mark.feature("DBQ-02", "DBQ-04")
def test_a_run_that_is_stopped_ends_after_the_task_and_the_state_is_stopping(
    steps: Instance, tmp_path: Path
) -> None:
    here, go_on = tmp_path / "here", tmp_path / "go_on"
    job_id = make(steps, "plain", {"first": [("wait", [str(here), str(go_on)])]})
    steps.query("DELETE FROM ledger")
    run = steps.start("plain")
    wait_until(here.exists, "the first task")
    if steps.database.dialect == "postgresql":
        assert look(steps, "plain", job_id)["state"] == "PROCESSING"
        run.send_signal(signal.SIGTERM)
        wait_until(lambda: look(steps, "plain", job_id)["state"] == State.STOPPING, "the state")
    else:
        run.send_signal(signal.SIGTERM)
    go_on.touch()
    assert run.wait(60) == 0, run.communicate()
    run.communicate()
    found = look(steps, "plain", job_id)
    assert (found["state"], found["next"], found["counts"]) == ("READY", "second", (0, 0))
    assert notes(steps, job_id) == ["first"]
    steps.run("plain")
    assert notes(steps, job_id) == ["first", "second", "third"]


@pytest.mark.feature("DBQ-02")
def test_a_job_whose_next_task_is_gone_waits_and_others_run(steps: Instance) -> None:
    gone, other = make(steps, "plain"), make(steps, "plain")
    unknown = make(steps, "plain")
    with steps.session() as session:
        job = job_class("plain").get(gone, session=session)
        job.job.steps = {**(job.job.steps or {}), "done": ["stepsapp.first"], "todo": ["os.abort"]}
    steps.query("INSERT INTO jobcron_type (id, name) VALUES (999, 'steps.forgotten')")
    steps.query("UPDATE jobcron_job SET type = 999 WHERE id = :id", id=unknown)
    log = steps.run("plain")
    assert "1 pending job of the type steps.forgotten, which no class" in log
    assert "this code lacks the task os.abort of" in log
    assert (steps.row(gone).status, steps.row(gone).attempt_count) == (JobStatus.WAITING, 0)
    assert notes(steps, gone) == []
    assert look(steps, "plain", other)["state"] == "COMPLETE"
    assert steps.row(unknown).status is JobStatus.WAITING
    with steps.session() as session:
        job = job_class("plain").get(gone, session=session)
        with pytest.raises(DefinitionChanged, match="expected stepsapp.fourth among"):
            job.next_task = "stepsapp.fourth"
        job.next_task = "stepsapp.second"
        job.job.scheduled_start = job.date_created  # it would be tried again in a minute
    steps.run("plain")
    assert notes(steps, gone) == ["second", "third"]


@pytest.mark.feature("DBQ-01")
def test_isolated_jobs_are_of_several_tasks_as_well(steps: Instance, tmp_path: Path) -> None:
    path = steps.path / "jobcron.conf"
    path.write_text(path.read_text().replace("queue: cats\n\n[cats]", "runner_class: ProcessJobRunner\n\n[cats]"))
    job_id = make(steps, "configured", {"second": [("die", [str(tmp_path / "deaths"), 1])]})
    other = make(steps, "configured")
    steps.command("run", "configured")
    assert look(steps, "configured", job_id)["state"] == "FAILED"  # a job that kills its own process
    assert notes(steps, job_id) == ["creation", "first"]
    assert look(steps, "configured", other)["state"] == "COMPLETE"


@pytest.mark.feature("DBQ-01")
def test_jobs_are_made_once_for_a_key_and_many_at_once(steps: Instance) -> None:
    cls = job_class("hooked")
    with steps.session() as session:
        first = cls.acquire(unique_key="k", workspace={"a": 1}, session=session)
        again = cls.acquire(unique_key="k", workspace={"a": 2}, session=session)
        assert first.id == again.id
        assert again.workspace["a"] == 1
        many = cls.createMultiple([{"workspace": {"a": n}} for n in range(3)], priority=4, session=session)
    assert [notes(steps, job) for job in (first.id, *many)] == [["creation"]] * 4
    assert {steps.row(job).priority for job in many} == {6}


@pytest.mark.feature("DBQ-01")
def test_a_test_runs_the_tasks_in_its_own_transaction(session: Session, steps: Instance) -> None:
    from jobcron import JobCronScript
    from jobcron.testing import BufferLogger

    job = create("plain")
    script = JobCronScript(test_args=["plain"], commandline_config=True)
    script.logger = BufferLogger()
    script.main()
    assert job_class("plain").get(job.id).state == "COMPLETE"
