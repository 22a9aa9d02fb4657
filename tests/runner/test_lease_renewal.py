"""The renewal of leases: a job that runs on is neither taken over nor run twice, whatever it holds."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text

import shortleaseapp
from endless import ENDLESS_SECONDS
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.database.clock import database_now
from jobcron.queue import type_feed
from jobcron.runner.surroundings import real
from runner_processes import Gate, before_it_waits, configure, first_lease, make, started, wait_past
from shortleaseapp import BriefJob

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def lock_the_others(job: Any) -> None:
    """Hold the rows of all jobs behind this one, as a job does that has acquired them."""
    job.session.execute(text("SELECT id FROM jobcron_job WHERE id > :id FOR UPDATE"), {"id": job.job.id})


@pytest.mark.feature("LP-23")
@on_postgresql
def test_the_lease_of_a_job_that_holds_what_the_keeper_wants_is_renewed(
    short_grace: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases: list[Any] = []

    def run(self: BriefJob) -> None:
        if leases or self.job.id < jobs[2]:
            return
        lock_the_others(self)

        def is_renewed_again() -> bool:
            leases.append(short_grace.lease_end(self.job.id))
            return len(set(leases)) >= 4

        wait_until(is_renewed_again, "three renewals", ENDLESS_SECONDS)

    # The first ones are quick: the runner claims more at once then.
    jobs = [make(short_grace, BriefJob) for _ in range(6)]
    monkeypatch.setattr(BriefJob, "run", run)
    short_grace.run("brief")
    assert [short_grace.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 6


WRITE = ("write", "effect")


@pytest.mark.feature("LP-23")
def test_a_job_that_runs_longer_than_its_lease_is_not_taken_by_a_second_runner(
    quick_keeper: Instance, gate: Gate
) -> None:
    job = make(quick_keeper, BriefJob, *before_it_waits(quick_keeper, WRITE, gate=gate))
    with started(quick_keeper, "brief") as run:
        gate.reached()
        lease = first_lease(quick_keeper, job)
        wait_past(quick_keeper, lease)
        quick_keeper.run("brief")
        row = quick_keeper.row(job)
        assert (row.status, row.lease_token) == (JobStatus.RUNNING, 1)
        assert first_lease(quick_keeper, job) > lease
        gate.open()
        run.end()
    row = quick_keeper.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 1, 0)
    assert quick_keeper.ledger() == [(job, 1, "effect")]
    assert quick_keeper.renewals() == []


@pytest.mark.feature("LP-23")
def test_a_job_that_holds_locks_longer_than_its_lease_is_neither_lost_nor_run_twice(
    quick_keeper: Instance, gate: Gate
) -> None:
    # It has changed its own row: a lock on that on PostgreSQL, on the whole database on SQLite.
    job = make(quick_keeper, BriefJob, ("note", "mine"), gate.touch, gate.wait, WRITE)
    with started(quick_keeper, "brief") as run:
        gate.reached()
        wait_past(quick_keeper, first_lease(quick_keeper, job))
        with started(quick_keeper, "brief_again") as other:
            if quick_keeper.database.dialect == "postgresql":
                assert "Ran" not in other.end()
            gate.open()
            assert "WARNING" not in run.end()
            if quick_keeper.database.dialect == "sqlite":
                assert "Ran" not in other.end()
    row = quick_keeper.row(job)
    assert (row.status, row.attempt_count, row.lease_token) == (JobStatus.COMPLETED, 1, 1)
    assert row.json_data["note"] == "mine"
    assert quick_keeper.ledger() == [(job, 1, "effect")]
    assert quick_keeper.events(job) == []


def test_a_keeper_that_cannot_renew_is_not_stuck(instance: Instance, gate: Gate) -> None:
    configure(instance, "grace_seconds: 0.2s", quick_keeper=True)
    job = make(instance, BriefJob, WRITE, ("note", "mine"), gate.touch, ("sleep", 60))
    with started(instance, "brief") as run:
        gate.reached()
        wait_past(instance, first_lease(instance, job))
        run.signal(signal.SIGTERM)
        log = run.end()
    assert f"BriefJob (ID {job}) was interrupted" in log
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.WAITING, 0)
    assert "note" not in row.json_data


def test_no_job_of_a_long_batch_starts_under_a_lease_that_is_nearly_over(
    quick_keeper: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float] = []

    def run(self: BriefJob) -> None:
        now = self.session.scalars(select(database_now())).one()
        assert self.lease_expires is not None
        left.append((self.lease_expires - now).total_seconds())
        time.sleep(0.2)  # not slow by itself: no give-back by the keeper

    monkeypatch.setattr(BriefJob, "run", run)
    monkeypatch.setattr(type_feed, "BATCH_SECONDS", 100.0)  # claim many, whatever they take
    jobs = [make(quick_keeper, BriefJob) for _ in range(16)]
    quick_keeper.run("brief")
    assert [quick_keeper.row(job).crash_count for job in jobs] == [0] * 16
    assert [quick_keeper.row(job).attempt_count for job in jobs] == [1] * 16
    assert min(left) > shortleaseapp.LEASE_SECONDS / 2


@pytest.mark.feature("LP-23")
@on_postgresql
@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_renewed_job_completes_whatever_the_isolation_of_its_transaction(
    quick_keeper: Instance, gate: Gate, isolation: str
) -> None:
    isolated = ("sql", f"SET TRANSACTION ISOLATION LEVEL {isolation}")
    actions = (isolated, WRITE, ("progress", 40), gate.touch, gate.wait, WRITE)
    job = make(quick_keeper, BriefJob, *actions)
    with started(quick_keeper, "brief") as run:
        gate.reached()
        wait_past(quick_keeper, first_lease(quick_keeper, job))
        assert quick_keeper.renewals() == [(job, 1, 40)]
        gate.open()
        assert "interrupted" not in run.end()
    row = quick_keeper.row(job)
    assert (row.status, row.attempt_count, row.progress) == (JobStatus.COMPLETED, 1, 40)
    assert quick_keeper.ledger() == [(job, 1, "effect")] * 2
    assert quick_keeper.events(job) == []


@on_postgresql
def test_a_job_that_has_locked_its_own_row_is_renewed_all_the_same(quick_keeper: Instance, gate: Gate) -> None:
    locked = ("sql", "SELECT id FROM jobcron_job FOR UPDATE")
    job = make(quick_keeper, BriefJob, locked, gate.touch, gate.wait, WRITE)
    with started(quick_keeper, "brief") as run:
        gate.reached()
        lease = first_lease(quick_keeper, job)
        wait_until(lambda: first_lease(quick_keeper, job) > lease, "a renewal")
        gate.open()
        run.end()
    assert quick_keeper.row(job).status is JobStatus.COMPLETED


def test_a_short_job_has_no_renewal_and_no_statement_of_its_life_looks_for_one(instance: Instance) -> None:
    instance.run("act")  # the first run of an interval looks around, at leases that are too far ahead as well
    jobs = [instance.act(WRITE) for _ in range(3)]
    sent: list[str] = []

    def note(*context: Any) -> None:
        sent.append(context[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        instance.run("act")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert [instance.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 3
    touching = ["jobcron_renewal" in statement for statement in sent]
    completing = [number for number, statement in enumerate(sent) if "status = 2" in statement]
    assert len(completing) == 3
    # Before that a run looks for dead jobs.
    assert not any(touching[completing[0] :])
    assert sum(touching) <= 2


@pytest.mark.feature("LP-23")
def test_a_keeper_that_is_woken_when_no_job_runs_looks_after_the_next_one(
    quick_keeper: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_woken, is_between, waits_again = (threading.Event() for _ in range(3))
    wait = real.Bell.wait

    def wait_until_no_job_runs(self: real.Bell) -> None:
        if is_woken.is_set():
            waits_again.set()
        wait(self)
        if not is_woken.is_set():
            is_woken.set()
            is_between.wait(ENDLESS_SECONDS)

    def be_between(claim: Any) -> Any:
        def call(*args: Any) -> Any:
            if is_woken.is_set() and not is_between.is_set():
                is_between.set()
                waits_again.wait(ENDLESS_SECONDS)
            return claim(*args)

        return call

    def run(self: BriefJob) -> None:
        if self.job.id == first:
            is_woken.wait(ENDLESS_SECONDS)
        else:
            lease = quick_keeper.lease_end(self.job.id)
            wait_until(lambda: quick_keeper.lease_end(self.job.id) != lease, "a renewal", ENDLESS_SECONDS)

    first, second = (make(quick_keeper, BriefJob) for _ in range(2))
    monkeypatch.setattr(real.Bell, "wait", wait_until_no_job_runs)
    for name in ("claim", "claim_in_line"):
        monkeypatch.setattr(type_feed, name, be_between(getattr(type_feed, name)))
    monkeypatch.setattr(BriefJob, "run", run)
    quick_keeper.run("brief")
    assert waits_again.is_set()
    assert [quick_keeper.row(job).status for job in (first, second)] == [JobStatus.COMPLETED] * 2
