"""Death: of a runner, of a connection, of the database, and the signals that come before it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from faulty_proxy import Cut, FaultyProxy
from fooapp import OwnReadyJob
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.testing.server import PrivatePostgreSQL
from runner_processes import Gate, configure, drain, end_leases, is_as_never_claimed, make, numbers, seen, started
from shortleaseapp import BusyJob, OwnOrderJob

WRITE = ("write", "effect")
KILLED = -signal.SIGKILL

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Return a gate for one job."""
    return Gate(tmp_path)


def batch_behind(instance: Instance, *actions: tuple[str, Any], **values: Any) -> tuple[int, list[int]]:
    """Make a job, and five neighbours of which some are claimed together with it.

    Two quick jobs come first: the runner claims more at once when it has seen that jobs are quick.
    """
    make(instance, BusyJob)
    make(instance, BusyJob)
    first = make(instance, BusyJob, *actions, **values)
    return first, [make(instance, BusyJob, ("expect_no_transaction", ""), WRITE) for _ in range(5)]


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
def test_a_death_uses_up_no_retry(instance: Instance, tmp_path: Path) -> None:
    job = instance.act(("kill_once", str(tmp_path / "died")), ("raise", "retry"), max_retries=1)
    instance.command("run", "act", expect=KILLED)
    instance.end_lease(job)
    instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.FAILED, 3, 1)
    assert instance.events(job) == ["taken over", "retry", "failed"]


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
    # Over by at most one for each crash of the batch that a job was in.
    assert {instance.row(job).attempt_count for job in neighbours} <= {1, 2}
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


@pytest.mark.feature("LP-19")
@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("job_class", [BusyJob, OwnOrderJob])
def test_a_job_that_always_kills_its_process_fails_at_the_third_death_and_the_others_complete(
    instance: Instance, gate: Gate, job_class: Any
) -> None:
    configure(instance)
    section = "busy" if job_class is BusyJob else "own_order"
    quick = [make(instance, job_class, WRITE) for _ in range(2)]
    poison = make(instance, job_class, WRITE, gate.touch, ("kill", ""))
    rest = [make(instance, job_class, WRITE) for _ in range(3)]
    for deaths in (1, 2, 3):
        instance.command("run", section, expect=KILLED)
        assert gate.count() == deaths
        assert instance.row(poison).status is JobStatus.RUNNING
        assert instance.oopses() == []
        end_leases(instance)
    instance.command("run", section)
    instance.run(section)
    row = instance.row(poison)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.FAILED, 3, 3)
    assert gate.count() == 3  # never a fourth time
    assert [path.name for path in instance.oopses()] == [row.oops_id]
    assert "CrashLimitReached" in instance.oopses()[0].read_text()
    assert instance.events(poison) == ["taken over", "taken over", "taken over", "failed"]
    assert numbers(instance, JobStatus.COMPLETED) == [*quick, *rest]
    assert sorted(job for job, *_ in instance.ledger()) == [*quick, *rest]


@pytest.mark.feature("LP-05")
@pytest.mark.feature("LP-23")
def test_a_dead_job_of_a_source_that_finds_its_jobs_itself_runs_again(instance: Instance, tmp_path: Path) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        metadata = {"die_once": str(tmp_path / "died")}
        job = OwnReadyJob.create(foo, metadata=metadata, session=session).job.id
    instance.command("run", "own_ready", expect=KILLED)
    assert instance.row(job).status is JobStatus.RUNNING
    instance.command("run", "own_ready")  # the lease lasts
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


def test_after_sigterm_the_current_job_ends_and_what_was_claimed_behind_it_goes_back(
    instance: Instance, gate: Gate
) -> None:
    configure(instance)
    current, behind = batch_behind(instance, gate.touch, gate.wait, WRITE)
    with started(instance, "busy") as run:
        gate.reached()
        assert behind[0] in numbers(instance, JobStatus.RUNNING)
        run.signal(signal.SIGTERM)
        # At once: that the current job is slow would be noticed after five seconds.
        wait_until(lambda: is_as_never_claimed(seen(instance, behind[0])), "the neighbour to be given back", 4)
        assert instance.row(current).status is JobStatus.RUNNING
        gate.open()
        log = run.end()
    assert instance.row(current).status is JobStatus.COMPLETED
    assert all(is_as_never_claimed(instance.row(job)) for job in behind)
    assert instance.ledger() == [(current, 1, "effect")]
    assert instance.events(behind[0]) == []
    assert "Ran 3 BusyJob jobs." in log


def test_a_job_that_outlives_the_grace_is_interrupted_and_waits_again(instance: Instance, gate: Gate) -> None:
    configure(instance, "grace_seconds: 0.5s", quick_keeper=True)
    job, behind = batch_behind(instance, WRITE, gate.touch, ("stubborn_sleep", 60))
    with started(instance, "busy") as run:
        gate.reached()
        started_at = time.monotonic()
        run.signal(signal.SIGTERM)
        log = run.end()
    assert 0.5 <= time.monotonic() - started_at < 3
    assert is_as_never_claimed(instance.row(job))
    assert instance.row(job).oops_id is None
    assert all(is_as_never_claimed(instance.row(number)) for number in behind)
    assert instance.ledger() == []
    assert instance.events(job) == ["interrupted"]
    assert [instance.events(number) for number in behind] == [[]] * 5
    assert instance.oopses() == []
    assert f"BusyJob (ID {job}) was interrupted: the run was stopped.\n" in log


def test_a_job_that_ends_right_after_sigterm_is_the_last(instance: Instance) -> None:
    configure(instance)
    current, behind = batch_behind(instance, WRITE, ("signal", signal.SIGTERM))
    instance.run("busy")
    assert instance.ledger() == [(current, 1, "effect")]
    assert all(is_as_never_claimed(instance.row(job)) for job in behind)
    assert instance.row(behind[0]).lease_token == 1  # it had been claimed


@on_postgresql
def test_a_job_that_waits_for_the_database_is_interrupted_when_its_grace_ends(
    instance: Instance, gate: Gate
) -> None:
    configure(instance, "grace_seconds: 0.2s", quick_keeper=True)
    job = make(instance, BusyJob, WRITE, gate.touch, ("sql", "SELECT pg_sleep(8)"))
    with started(instance, "busy") as run:
        gate.reached()
        started_at = time.monotonic()
        run.signal(signal.SIGTERM)
        run.end()
    assert time.monotonic() - started_at < 4
    assert instance.events(job) == ["interrupted"]
    assert is_as_never_claimed(instance.row(job))
    assert instance.ledger() == []


def test_a_second_sigterm_interrupts_the_job_at_once(instance: Instance, gate: Gate) -> None:
    configure(instance, "grace_seconds: 20s")
    job, behind = batch_behind(instance, gate.touch, ("stubborn_sleep", 60), WRITE)
    with started(instance, "busy") as run:
        gate.reached()
        started_at = time.monotonic()
        run.signal(signal.SIGTERM)
        wait_until(lambda: is_as_never_claimed(seen(instance, behind[0])), "the first to be heard")
        run.signal(signal.SIGTERM)
        run.end()
    assert time.monotonic() - started_at < 10
    assert is_as_never_claimed(instance.row(job))
    assert instance.events(job) == ["interrupted"]
    assert instance.ledger() == []


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
