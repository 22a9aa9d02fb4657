"""Races: many processes want the same thing, and one gets it; and the order in which jobs start."""

from __future__ import annotations

import random
import re
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fooapp import ActJob, DoFooJob, FooJobType
from instances import Instance
from jobcron import DuplicateJob, Job, JobStatus
from jobcron.testing import run_script
from paths import APPS
from runner_processes import Gate, configure, drain, make, numbers, seen, started
from shortleaseapp import BusyJob

WRITE = ("write", "effect")
QUEUE_LENGTH = 2000


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Return a gate for one job."""
    return Gate(tmp_path)


def race(instance: Instance, what: str, count: int) -> list[int]:
    """Let so many processes do it at once; return what each of them printed."""
    arguments = [str(APPS / "simultaneous.py"), what, str(count), instance.url]
    _, out, _ = run_script(sys.executable, arguments)
    return [int(line) for line in out.splitlines()]


def make_queue(instance: Instance, length: int) -> None:
    """Commit so many DoFooJobs, each for a foo of its own."""
    with instance.session() as session:
        first = DoFooJob.create(instance.foo(session), session=session).job
        type_id = first.type_id
    many = f"WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {length}) "
    new_uuid = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}
    instance.query(f"{many} INSERT INTO foo (id, name, frozzled) SELECT i, 'foo', 0 FROM n")
    instance.query(
        f"{many} INSERT INTO jobcron_job (id, uuid, type) "
        f"SELECT i, {new_uuid[instance.database.dialect]}, {type_id} FROM n"
    )
    instance.query(
        f"{many} INSERT INTO foo_job (job, job_type, foo_id) SELECT i, {FooJobType.DO_FOO.value}, i FROM n"
    )


@pytest.mark.feature("LP-09")
def test_sixteen_processes_that_acquire_for_one_target_leave_one_job(instance: Instance) -> None:
    with instance.session() as session:
        instance.foo(session)
    found = race(instance, "acquire", 16)
    assert len(found) == 16
    assert set(found) == {row.id for row in instance.rows()}
    assert len(set(found)) == 1
    assert instance.query("SELECT count(*) FROM foo_job") == [(1,)]
    instance.run("do_foo")
    assert instance.ledger() == [(found[0], 1, "")]


@pytest.mark.feature("LP-01")
@pytest.mark.feature("LP-23")
def test_four_runners_on_one_queue_run_each_job_exactly_once(instance: Instance) -> None:
    make_queue(instance, QUEUE_LENGTH)
    completed = race(instance, "run", 4)
    assert len(completed) == 4
    # On SQLite a job may meet BUSY and wait for its second turn; nothing is lost by that, and nothing doubled.
    assert numbers(instance, JobStatus.RUNNING) == []
    drain(instance, "do_foo")
    assert numbers(instance, JobStatus.COMPLETED) == list(range(1, QUEUE_LENGTH + 1))
    assert sorted(job for job, *_ in instance.ledger()) == list(range(1, QUEUE_LENGTH + 1))
    assert instance.query("SELECT min(frozzled), max(frozzled) FROM foo") == [(1, 1)]
    assert instance.query("SELECT min(attempt_count), max(attempt_count) FROM jobcron_job") == [(1, 1)]
    assert sum(completed) >= QUEUE_LENGTH * 0.9
    if instance.database.dialect == "postgresql":
        assert all(completed)  # nobody waits for another


@pytest.mark.feature("LP-10")
def test_jobs_start_in_order_of_priority_due_time_and_number(instance: Instance) -> None:
    chance = random.Random(6)
    now = datetime.now(UTC)
    due = [now - timedelta(minutes=minutes) for minutes in (1, 10, 100)]
    for _ in range(40):
        instance.act(WRITE, priority=chance.choice([-1000, -1, 0, 10, 11]), scheduled_start=chance.choice(due))
    not_due = instance.act(WRITE, priority=-2000, scheduled_start=now + timedelta(hours=1))
    ready = [row for row in instance.rows() if row.id != not_due]
    instance.run("act")
    expected = sorted(ready, key=lambda row: (row.priority, row.scheduled_start, row.id))
    assert [job for job, *_ in instance.ledger()] == [row.id for row in expected]
    assert numbers(instance, JobStatus.WAITING) == [not_due]


@pytest.mark.feature("LP-23")
def test_a_job_whose_process_died_before_is_claimed_alone(instance: Instance, tmp_path: Path) -> None:
    configure(instance)
    before, alone = Gate(tmp_path, "before"), Gate(tmp_path, "alone")
    for _ in range(2):
        make(instance, BusyJob)
    harmless = make(instance, BusyJob, before.touch, before.wait)
    suspect = make(instance, BusyJob, alone.touch, alone.wait)
    behind = [make(instance, BusyJob, WRITE) for _ in range(3)]
    instance.query("UPDATE jobcron_job SET crash_count = 1 WHERE id = :id", id=suspect)
    with started(instance, "busy") as run:
        before.reached()
        assert numbers(instance, JobStatus.RUNNING) == [harmless]  # the batch ends before the suspect
        before.open()
        alone.reached()
        assert numbers(instance, JobStatus.RUNNING) == [suspect]
        alone.open()
        run.end()
    assert [job for job, *_ in instance.ledger()] == behind


@pytest.mark.feature("LP-18")
def test_of_two_runs_of_one_section_the_second_says_who_holds_the_lock(instance: Instance, gate: Gate) -> None:
    job = instance.act(gate.touch, gate.wait, WRITE)
    with started(instance, "act") as run:
        gate.reached()
        out, err = instance.command("run", "act", expect=3)
        assert out == ""
        assert "Traceback" not in err
        assert re.search(rf"WARNING the lock .*act\.lock is held by process {run.process.pid} on ", err)
        gate.open()
        run.end()
    assert instance.ledger() == [(job, 1, "effect")]
    instance.command("run", "act")


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize("made_by", ["create", "acquire"])
def test_a_job_that_was_acquired_does_not_start_before_its_caller_commits(
    instance: Instance, made_by: str
) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        job = getattr(ActJob, made_by)(foo, metadata={"do": [WRITE]}, session=session).job.id
        other = ActJob.create(instance.foo(session), metadata={"do": [WRITE]}, session=session).job.id
        foo_id = foo.id
    with instance.session() as caller:
        found = ActJob.acquire(caller.get_one(type(foo), foo_id), session=caller)
        assert found.job.id == job
        with started(instance, "act") as run:
            if instance.database.dialect == "postgresql":
                run.end()  # passes over it, and waits for nobody
                assert seen(instance, other).status is JobStatus.COMPLETED
            else:
                time.sleep(1)  # waits for the database's lock
                assert seen(instance, other).status is JobStatus.WAITING
            assert seen(instance, job).status is JobStatus.WAITING
            caller.commit()
            if instance.database.dialect == "sqlite":
                run.end()
    instance.run("act")
    assert sorted(instance.ledger()) == [(job, 1, "effect"), (other, 1, "effect")]


@pytest.mark.feature("LP-09")
@pytest.mark.feature("LP-21")
def test_a_retry_that_meets_a_job_with_its_key_is_superseded_by_it(instance: Instance, gate: Gate) -> None:
    actions = [WRITE, ("raise", "retry")]
    with instance.session() as session:
        foo = instance.foo(session)
        metadata = {"do": [gate.touch, gate.wait, *actions]}
        job = ActJob.acquire(foo, metadata=metadata, max_retries=5, session=session).job.id
    with started(instance, "act") as run:
        gate.reached()
        with instance.session() as session:
            # A running job may have read the old state: this makes a new one.
            twin = ActJob.acquire(session.merge(foo), metadata={"do": [WRITE]}, session=session).job.id
        assert twin != job
        gate.open()
        log = run.end()
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.CANCELLED, 1)
    assert row.date_finished is not None
    history = instance.query("SELECT kind, detail FROM jobcron_event WHERE job = :job", job=job)
    assert history == [("superseded", f"superseded by {twin}")]
    assert f"superseded by {twin}" in log
    assert instance.row(twin).status is JobStatus.COMPLETED
    assert instance.ledger() == [(twin, 1, "effect")]
    assert instance.oopses() == []


@pytest.mark.feature("LP-09")
def test_the_history_of_a_superseded_job_says_that_it_was_interrupted(instance: Instance, gate: Gate) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        job = ActJob.acquire(foo, metadata={"do": [gate.touch, gate.wait]}, session=session).job.id
    with started(instance, "act") as run:
        gate.reached()
        with instance.session() as session:
            twin = ActJob.acquire(session.merge(foo), metadata={"do": [WRITE]}, session=session).job.id
        run.signal(signal.SIGTERM)
        time.sleep(0.3)  # else it may see only one
        run.signal(signal.SIGTERM)
        run.end()
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (
        JobStatus.CANCELLED,
        0,
    )  # and so an attempt that began is not counted
    history = instance.query("SELECT kind, detail FROM jobcron_event WHERE job = :job", job=job)
    assert history == [("superseded", f"interrupted, superseded by {twin}")]
    assert instance.row(twin).status is JobStatus.WAITING


@pytest.mark.feature("LP-09")
def test_a_requeue_by_hand_that_finds_a_job_with_the_same_key_is_refused_and_names_it(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        job = ActJob.acquire(foo, metadata={"do": [("raise", "value")]}, session=session).job.id
    instance.run("act")
    with instance.session() as session:
        twin = ActJob.acquire(session.merge(foo), session=session).job.id
    with instance.session() as session, pytest.raises(DuplicateJob, match=rf"found job {twin}\b"):
        session.get_one(Job, job).queue()
    assert instance.row(job).status is JobStatus.FAILED
    instance.run("act")  # the twin completes, and is in nobody's way any more
    with instance.session() as session:
        session.get_one(Job, job).queue()
    assert instance.row(job).status is JobStatus.WAITING
    assert instance.events(job) == ["failed", "requeued"]
