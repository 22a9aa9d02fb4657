"""Death: of a runner, of a connection, of the database, and the signals that come before it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from faulty_proxy import Cut, FaultyProxy
from fooapp import OwnReadyJob
from instances import Instance
from jobcron import JobStatus
from jobcron.testing.server import PrivatePostgreSQL
from runner_processes import Gate, batch_behind, configure, drain, end_leases, make, numbers, started
from shortleaseapp import BusyJob

WRITE = ("write", "effect")


KILLED = -signal.SIGKILL


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.mark.feature("LP-23")
@pytest.mark.feature("LP-01")
def test_a_job_whose_runner_was_killed_runs_again_when_its_lease_has_ended(instance: Instance, gate: Gate) -> None:
    job = instance.act(WRITE, gate.touch, gate.wait)
    with started(instance, "act") as run:
        gate.reached()
        run.kill()
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.RUNNING, 1, 0)
    assert instance.ledger() == []

    instance.run("act")  # the lease lasts: nobody runs it
    assert (instance.row(job).status, instance.row(job).lease_token) == (JobStatus.RUNNING, 1)

    instance.end_lease(job)
    gate.open()
    log = instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 2, 1)
    assert (row.lease_token, row.lease_expires) == (2, None)
    assert instance.ledger() == [(job, 2, "effect")]
    assert instance.events(job) == ["taken over"]
    assert instance.oopses() == []
    assert f"Job {job} was left behind by its runner: taken over.\n" in log


@pytest.mark.feature("LP-23")
def test_a_batch_killed_in_its_first_job_harms_none_of_its_neighbours(instance: Instance, tmp_path: Path) -> None:
    configure(instance)
    killer, neighbours = batch_behind(instance, WRITE, ("kill_once", str(tmp_path / "died")))
    instance.command("run", "busy", expect=KILLED)
    claimed = numbers(instance, JobStatus.RUNNING)
    assert claimed[:2] == [killer, neighbours[0]]  # a batch of more than one
    assert instance.ledger() == []
    end_leases(instance)
    instance.run("busy")
    assert numbers(instance, JobStatus.COMPLETED) == [row.id for row in instance.rows()]
    assert [job for job, *_ in instance.ledger()] == [killer, *neighbours]
    assert instance.row(killer).attempt_count == 2
    assert instance.row(killer).crash_count == 1
    # They were claimed and had not begun.
    assert {(instance.row(job).attempt_count, instance.row(job).crash_count) for job in neighbours} == {(1, 0)}
    assert {tuple(instance.events(job)) for job in neighbours} == {()}
    assert instance.oopses() == []


@pytest.mark.feature("LP-10")
def test_what_a_killed_batch_left_behind_starts_in_order_of_priority(instance: Instance, tmp_path: Path) -> None:
    configure(instance)
    make(instance, BusyJob, priority=-9)
    middle, first, last = (make(instance, BusyJob, WRITE, priority=priority) for priority in (2, 1, 3))
    killer = make(instance, BusyJob, ("kill_once", str(tmp_path / "died")), WRITE, priority=0)
    instance.command("run", "busy", expect=KILLED)
    assert numbers(instance, JobStatus.RUNNING) == [middle, first, last, killer]
    end_leases(instance)
    instance.run("busy")
    assert [job for job, *_ in instance.ledger()] == [killer, first, middle, last]


@pytest.mark.feature("LP-05")
@pytest.mark.feature("LP-23")
def test_a_dead_job_of_a_source_that_finds_its_jobs_itself_runs_again(instance: Instance, tmp_path: Path) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        metadata = {"die_once": str(tmp_path / "died")}
        job = OwnReadyJob.create(foo, metadata=metadata, session=session).job.id
    instance.command("run", "own_ready", expect=KILLED)
    assert instance.row(job).status is JobStatus.RUNNING
    instance.run("own_ready")  # the lease lasts, and nobody holds the lock
    assert (instance.row(job).status, instance.row(job).lease_token) == (JobStatus.RUNNING, 1)
    instance.end_lease(job)
    instance.run("own_ready")
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 2, 1)
    assert instance.ledger() == [(job, 2, "foo")]


@pytest.mark.feature("LP-23")
def test_a_runner_stopped_past_its_lease_and_continued_commits_nothing(instance: Instance, gate: Gate) -> None:
    configure(instance)
    # Stopped after a write it would hold SQLite's one write lock, and the second runner would have to wait for it.
    actions = {
        "sqlite": [gate.touch, gate.wait, WRITE],
        "postgresql": [WRITE, gate.touch, gate.wait, WRITE],
    }[instance.database.dialect]
    job = make(instance, BusyJob, *actions)
    with started(instance, "busy") as run:
        gate.reached()
        run.signal(signal.SIGSTOP)
        instance.end_lease(job)
        gate.open()
        instance.run("busy")
        result = [(job, 2, "effect")] * (len(actions) - 2)
        assert instance.ledger() == result
        run.signal(signal.SIGCONT)
        log = run.end()
    assert instance.ledger() == result
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 2, 1)
    assert f"WARNING BusyJob (ID {job}) lost its lease; nothing was committed.\n" in log
    assert "INFO    1 BusyJob jobs did not complete.\n" in log
    assert instance.events(job) == ["taken over"]
    assert instance.oopses() == []


@pytest.mark.feature("LP-23")
def test_what_was_before_a_checkpoint_outlives_a_death_and_the_job_starts_from_the_top(
    instance: Instance, gate: Gate
) -> None:
    job = instance.act(("write", "one"), ("checkpoint", ""), ("write", "two"), gate.touch, gate.wait)
    with started(instance, "act") as run:
        gate.reached()
        run.kill()
    assert instance.ledger() == [(job, 1, "one")]
    assert instance.row(job).status is JobStatus.RUNNING
    gate.open()
    instance.end_lease(job)
    instance.run("act")
    assert instance.ledger() == [(job, 1, "one"), (job, 2, "one"), (job, 2, "two")]
    assert instance.row(job).status is JobStatus.COMPLETED


@on_postgresql
def test_a_job_whose_connection_the_server_ended_waits_again_and_the_others_run(
    instance: Instance, gate: Gate
) -> None:
    configure(instance)
    job, rest = batch_behind(instance, WRITE, gate.touch, gate.wait, ("write", "more"))
    with started(instance, "busy") as run:
        gate.reached()
        ended = instance.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        assert ended == [(True,)]
        gate.open()
        log = run.end()
    assert "was interrupted: the connection to the database was lost.\n" in log
    row = instance.row(job)
    assert row.status in (JobStatus.WAITING, JobStatus.COMPLETED)  # again in the same run, where that took long
    assert instance.events(job) == ["interrupted"]
    ((pause,),) = instance.query(
        "SELECT extract(epoch FROM scheduled_start - at) FROM jobcron_event JOIN jobcron_job AS j ON j.id = job"
    )
    assert 0.9 < pause < 3
    drain(instance, "busy")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert instance.row(job).attempt_count == 1
    assert sorted(note for number, _, note in instance.ledger() if number == job) == ["effect", "more"]
    assert sorted(number for number, *_ in instance.ledger()) == sorted([job, job, *rest])
    assert instance.oopses() == []


@pytest.mark.feature("LP-01")
@pytest.mark.feature("LP-23")
def test_a_crash_of_the_server_loses_nothing_and_doubles_nothing(
    tmp_path: Path, gate: Gate, jobcron_tables: Callable[[Connection], None]
) -> None:
    with PrivatePostgreSQL() as server:
        instance = Instance(tmp_path / "instance", server.url())
        instance.command("upgrade")
        with instance.database.engine.begin() as connection:
            jobcron_tables(connection)
        instance.database.engine.dispose()
        jobs = [instance.act(WRITE) for _ in range(10)]
        jobs.append(instance.act(("write", "before"), gate.touch, gate.wait, WRITE))
        jobs += [instance.act(WRITE, ("sleep", 0.01)) for _ in range(30)]
        with started(instance, "act") as run:
            gate.reached()
            server.restart("immediate")
            gate.open()
            log = run.end(0, 1)
        assert "Traceback" not in log
        instance.database.engine.dispose()
        drain(instance, "act")
        assert numbers(instance, JobStatus.COMPLETED) == jobs
        assert sorted(job for job, _, note in instance.ledger() if note == "effect") == jobs
        assert instance.oopses() == []
        instance.database.close()


@pytest.mark.feature("LP-23")
@on_postgresql
@pytest.mark.parametrize("cut", ["before", "after", "overtaken"])
def test_a_commit_without_an_answer_has_its_effects_exactly_once(
    instance: Instance,
    server: PrivatePostgreSQL,
    gate: Gate,
    cut: Cut,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(instance)
    job, neighbours = batch_behind(instance, WRITE, gate.touch, gate.wait)
    with FaultyProxy(server) as proxy:
        monkeypatch.setenv("JOBCRON_DATABASE_URL", proxy.url(str(make_url(instance.url).database)))
        with started(instance, "busy") as run:
            gate.reached()
            proxy.arm(cut)
            gate.open()
            log = run.end()
        assert proxy.cuts == 1
    monkeypatch.delenv("JOBCRON_DATABASE_URL")
    if cut == "before":
        assert instance.events(job) == ["interrupted"]
        assert "was interrupted: the connection was lost while committing.\n" in log
        drain(instance, "busy")
    else:
        assert instance.events(job) == []
        assert "Ran 8 BusyJob jobs.\n" in log
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 1, 0)
    assert sorted(instance.ledger()) == [(number, 1, "effect") for number in (job, *neighbours)]
    assert instance.oopses() == []


@pytest.mark.feature("LP-23")
@on_postgresql
def test_a_job_that_put_itself_back_is_not_told_as_interrupted_if_its_commit_has_no_answer(
    instance: Instance, server: PrivatePostgreSQL, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance)
    job = make(instance, BusyJob, WRITE, ("move", "queue"), gate.touch, gate.wait)
    with FaultyProxy(server) as proxy:
        monkeypatch.setenv("JOBCRON_DATABASE_URL", proxy.url(str(make_url(instance.url).database)))
        with started(instance, "busy") as run:
            gate.reached()
            proxy.arm("after")
            gate.open()
            log = run.end()
        assert proxy.cuts == 1
    assert instance.row(job).status is JobStatus.WAITING
    assert instance.events(job) == ["requeued"]
    assert "interrupted" not in log
    assert instance.ledger(job) == [(job, 1, "effect")]
