"""Queues: the jobs of one, whatever their tasks, and how many wait in each."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus
from jobcron.database.sessions import use_session
from jobcron.steps import job_class, queues
from query_cost import cost_of, noted_statements
from steps_jobs import look, make, notes


@pytest.mark.feature("DBQ-06", "DBQ-08")
def test_the_depth_of_queues_is_told_as_django_db_queue_tells_it(steps: Instance) -> None:
    make(steps, "plain")
    make(steps, "plain", run_after=datetime.now(UTC) + timedelta(hours=1))
    make(steps, "plain", queue_name="cats")
    done = make(steps, "hooked")
    steps.run("hooked")
    assert look(steps, "hooked", done)["state"] == "COMPLETE"
    assert steps.command("queue_depth")[0] == "event=queue_depths default=2\n"
    assert steps.command("queue-depth", "cats", "default", "none")[0] == (
        "event=queue_depths cats=1 default=2 none=0\n"
    )
    for option in ("--exclude_future_jobs=True", "--exclude_future_jobs", "--exclude-future-jobs"):
        assert steps.command("queue_depth", "default", option)[0] == "event=queue_depths default=1\n"
        assert (
            steps.command("queue_depth", option, "cats", "default")[0] == "event=queue_depths cats=1 default=1\n"
        )
        assert steps.command("queue_depth", option)[0] == "event=queue_depths default=1\n"


def test_a_queue_that_nobody_knows_is_told_beside_its_0(steps: Instance) -> None:
    make(steps, "plain", queue_name="dogs")
    out, err = steps.command("queue_depth", "default", "cats", "dogs", "dosg")
    assert out == "event=queue_depths default=0 cats=0 dogs=1 dosg=0\n"
    assert "expected queues that a section, a definition or a job has, got: dosg; they are: " in err
    assert err.endswith("; did you mean dogs?\n")
    steps.query("DELETE FROM jobcron_job")
    assert "got: dogs" in steps.command("queue_depth", "cats", "dogs")[1]


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
    asked = [(text, values) for text, values in noted if "priority" in text and "LIMIT" in text]
    assert len(asked) <= 2  # of jobs in no channel, and of those in one
    assert 0 < sum(cost_of(steps, *one) for one in asked) < 5000
