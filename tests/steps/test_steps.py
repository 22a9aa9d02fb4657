"""Jobs of several tasks: their order, transactions, workspace, states, and what is left of them after a crash."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

import stepsapp
from instances import Instance, wait_until
from jobcron import DefinitionChanged, InvalidJobData, JobStatus, UnknownJobType
from jobcron.database.sessions import use_session
from jobcron.steps import State, create, job_class, queues
from query_cost import cost_of, noted_statements
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
        "sqlite": "json_extract(json_data, '$.workspace.account') = 7",
        "postgresql": "json_data #>> '{workspace,account}' = '7'",
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
def test_a_job_whose_next_task_is_gone_fails_clearly_and_others_run(steps: Instance) -> None:
    gone, other = make(steps, "plain"), make(steps, "plain")
    unknown = make(steps, "plain")
    with steps.session() as session:
        job = job_class("plain").get(gone, session=session)
        job.metadata = {**job.metadata, "step": 1, "next_task": "os.abort"}
    steps.query("INSERT INTO jobcron_type (id, name) VALUES (999, 'steps.forgotten')")
    steps.query("UPDATE jobcron_job SET type = 999 WHERE id = :id", id=unknown)
    log = steps.run("plain")
    assert "1 pending jobs of the type steps.forgotten, which no class" in log
    assert look(steps, "plain", gone)["state"] == "FAILED"
    row = steps.row(gone)
    assert "DefinitionChanged: expected os.abort among the tasks of <Plain job" in (row.log or "")
    assert notes(steps, gone) == []
    assert look(steps, "plain", other)["state"] == "COMPLETE"
    assert steps.row(unknown).status is JobStatus.WAITING
    with steps.session() as session:
        job = job_class("plain").get(gone, session=session)
        with pytest.raises(DefinitionChanged, match="expected stepsapp.fourth among"):
            job.next_task = "stepsapp.fourth"
        job.next_task = "stepsapp.second"
        job.queue()
    steps.run("plain")
    assert notes(steps, gone) == ["second", "third"]


@pytest.mark.feature("DBQ-02", "DBQ-03")
@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"workspace": [1], "step": 0, "next_task": ""}, "InvalidJobData: expected the workspace of <Hooked job"),
        (
            {"workspace": {}, "step": 7, "next_task": "stepsapp.third"},
            "DefinitionChanged: expected stepsapp.third",
        ),
        ({"workspace": {}, "step": "x", "next_task": [5]}, "DefinitionChanged: expected [5] among the tasks"),
    ],
)
def test_a_row_that_is_broken_fails_clearly_and_alone(steps: Instance, data: dict[str, Any], told: str) -> None:
    broken, other = make(steps, "hooked"), make(steps, "hooked")
    steps.query("UPDATE jobcron_job SET json_data = :data WHERE id = :id", data=json.dumps(data), id=broken)
    steps.run("hooked")
    with steps.session() as session:
        job = job_class("hooked").get(broken, session=session)
        assert job.state == "FAILED"
        assert told in (job.log or "")
    assert len(steps.oopses()) == 1
    assert look(steps, "hooked", other)["state"] == "COMPLETE"


@pytest.mark.feature("DBQ-02")
def test_tasks_may_be_added_while_jobs_are_under_way(steps: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = make(steps, "plain", {"second": [("raise", "later")]})
    steps.run("plain")
    with steps.session() as session:
        job = job_class("plain").get(job_id, session=session)
        job.workspace["second"] = []
        job.save()
        job.queue()
    monkeypatch.setattr(stepsapp.Plain, "tasks", [stepsapp.third, stepsapp.first, stepsapp.second])
    steps.run("plain")
    assert notes(steps, job_id) == ["first", "second"]


@pytest.mark.feature("DBQ-08")
def test_the_highest_priority_is_first_and_none_before_its_time(steps: Instance) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    jobs = {priority: make(steps, "plain", priority=priority) for priority in (-5, 3, 0, 20)}
    waiting = make(steps, "plain", priority=100, run_after=later)
    steps.run("plain")
    started = [job for job, _, note in steps.ledger() if note == "first"]
    assert started == [jobs[20], jobs[3], jobs[0], jobs[-5]]
    assert steps.row(jobs[3]).priority == 7
    assert look(steps, "plain", waiting)["state"] == "NEW"
    with steps.session() as session:
        job = job_class("plain").get(waiting, session=session)
        assert (job.priority, job.run_after, job.queue_name, job.name) == (100, later, "default", "plain")


@pytest.mark.feature("DBQ-08")
def test_a_section_runs_the_jobs_of_one_queue_whatever_their_tasks(steps: Instance) -> None:
    mine = [
        make(steps, "plain", queue_name="cats"),
        make(steps, "configured", priority=1),
        make(steps, "hooked", {"first": [("raise", "no")]}, queue_name="cats"),
    ]
    other = make(steps, "plain")
    steps.query("DELETE FROM ledger")
    steps.run("cats")
    assert [job for job, _, note in steps.ledger() if note == "first"] == [mine[1], mine[0]]
    assert [steps.row(job).status for job in mine] == [JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED]
    assert "on failure" in notes(steps, mine[2])
    assert steps.row(other).status is JobStatus.WAITING
    steps.run("all_default")
    assert steps.row(other).status is JobStatus.COMPLETED


@pytest.mark.parametrize("data", ["[]", "[1]", '"x"'])
def test_a_row_of_a_queue_with_data_that_is_none_fails_alone(steps: Instance, data: str) -> None:
    jobs = [make(steps, "plain", queue_name="cats") for _ in range(3)]
    steps.query("UPDATE jobcron_job SET json_data = :data WHERE id = :id", data=data, id=jobs[1])
    steps.run("cats")
    states = [status for (status,) in steps.query("SELECT status FROM jobcron_job ORDER BY id")]
    assert states == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED]


@pytest.mark.feature("DBQ-02", "DBQ-08")
def test_a_job_of_a_queue_whose_process_died_is_taken_over(steps: Instance, tmp_path: Path) -> None:
    job_id = make(steps, "configured", {"second": [("die", [str(tmp_path / "deaths"), 1])]})
    run = steps.start("cats")
    assert run.wait(60) == -signal.SIGKILL
    run.communicate()
    steps.end_lease(job_id)
    steps.run("cats")
    assert notes(steps, job_id) == ["creation", "first", "second"]
    assert look(steps, "configured", job_id)["state"] == "COMPLETE"


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


@pytest.mark.feature("DBQ-08")
def test_a_queue_reads_its_first_jobs_and_not_all_that_wait(steps: Instance) -> None:
    first = [make(steps, name, queue_name="default", priority=3) for name in ("hooked", "plain", "hooked")]
    numbers = [row.type_id for row in steps.rows()[:2]]
    uuid = "gen_random_uuid()" if steps.database.dialect == "postgresql" else "lower(hex(randomblob(16)))"
    past = "'2001-01-01 00:00:00.000000'" + "::timestamptz" * (steps.database.dialect == "postgresql")
    for number in numbers:
        steps.query(
            f"INSERT INTO jobcron_job (uuid, type, scheduled_start) "
            f"WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000) "
            f"SELECT {uuid}, {number}, {past} FROM n"
        )
    if steps.database.dialect == "postgresql":
        steps.query("ANALYZE jobcron_job")
    with steps.session() as session, use_session(session), noted_statements() as noted:
        found = [job.id for job in queues.default.iterReady()]
    assert found[:3] == first
    assert len(found) == queues.PASS
    (asked,) = [(text, values) for text, values in noted if "priority" in text and "LIMIT" in text]
    assert cost_of(steps, *asked) < 5000
