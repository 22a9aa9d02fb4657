"""What one job of a batch does to its session costs the others nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from fooapp import ActJob, Ledger, OwnReadyJob
from instances import Instance
from jobcron import JobRunner, JobStatus
from jobcron.runner._backlog import Backlog
from jobcron.testing import BufferLogger

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

WAYS = ["rollback", "expire_all", "expunge_all", "close", "fail", "time limit"]
"""What a job may do to the session."""


def spoil(job: Any, how: str) -> None:
    """Empty the session, or make the runner do it."""
    job.act_sql("SELECT 1")
    if how == "fail":
        raise ValueError("as any job may")
    if how == "time limit":
        time.sleep(20)
    else:
        getattr(job.session, how)()


def make(instance: Instance, monkeypatch: pytest.MonkeyPatch, run: Callable[[Any], None], count: int) -> list[int]:
    """Make jobs that are claimed in batches, and run like this."""
    monkeypatch.setattr(ActJob, "run", run)
    with instance.session() as session:
        return [ActJob.create(instance.foo(session), session=session).job.id for _ in range(count)]


@pytest.mark.feature("LP-01")
@pytest.mark.parametrize("how", WAYS)
def test_the_work_of_jobs_behind_one_that_empties_the_session_is_committed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    began = []

    def run(job: Any) -> None:
        began.append(job.session.in_transaction())
        if job.job.id == 2:
            spoil(job, how)
            return
        job.context.foo.frozzled += 1
        job.metadata["done"] = True

    monkeypatch.setattr(ActJob, "time_limit", 1.0)
    jobs = make(instance, monkeypatch, run, 5)
    instance.run("act")
    work = [frozzled for (frozzled,) in instance.query("SELECT frozzled FROM foo ORDER BY id")]
    assert work == [1, 0, 1, 1, 1]
    rows = [instance.row(number) for number in jobs]
    assert ["done" in row.json_data for row in rows] == [True, False, True, True, True]
    ended = JobStatus.FAILED if how in ("fail", "time limit") else JobStatus.COMPLETED
    assert [row.status for row in rows] == [JobStatus.COMPLETED, ended] + [JobStatus.COMPLETED] * 3
    assert began == [False] * 5


@pytest.mark.parametrize("how", WAYS)
def test_so_is_that_of_jobs_that_their_source_found_itself(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def run(job: Any) -> None:
        if job.job.id == 2:
            job.session.execute(text("SELECT 1"))
            if how == "fail":
                raise ValueError("as any job may")
            if how == "time limit":
                time.sleep(20)
            getattr(job.session, how)()
            return
        job.context.foo.frozzled += 1

    monkeypatch.setattr(OwnReadyJob, "time_limit", 1.0)
    monkeypatch.setattr(OwnReadyJob, "run", run)
    with instance.session() as session:
        for _ in range(4):
            OwnReadyJob.create(instance.foo(session), session=session)
    instance.run("own_ready")
    assert instance.query("SELECT frozzled FROM foo ORDER BY id") == [(1,), (0,), (1,), (1,)]


def test_a_job_that_the_keeper_could_not_give_back_does_its_work(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes back to the runner when the next batch has taken its place in the session."""
    held: list[Any] = []
    take = Backlog.next

    def hold_the_third(backlog: Backlog) -> Any:
        if held and held[0] is not None:
            backlog.extend([held[0]])
            held[0] = None
        entry = take(backlog)
        if entry is not None and entry[0].id == 3 and not held:
            held.append(entry)
            return None
        return entry

    monkeypatch.setattr(Backlog, "next", hold_the_third)

    def run(job: Any) -> None:
        job.context.foo.frozzled += 1

    make(instance, monkeypatch, run, 9)
    instance.run("act")
    assert held == [None]
    assert instance.query("SELECT DISTINCT frozzled FROM foo") == [(1,)]
    assert {row.status for row in instance.rows()} == {JobStatus.COMPLETED}


@pytest.mark.feature("LP-23")
@on_postgresql
@pytest.mark.parametrize("how", WAYS)
def test_the_fence_watches_what_a_job_behind_it_commits_itself(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def run(job: Any) -> None:
        if job.job.id == 2:
            spoil(job, how)
        elif job.job.id == 3:
            instance.query("UPDATE jobcron_job SET lease_token = lease_token + 1 WHERE id = 3")
            job.session.add(Ledger(job=3, attempt=1, note="stale"))
            job.session.commit()

    monkeypatch.setattr(ActJob, "time_limit", 1.0)
    make(instance, monkeypatch, run, 4)
    log = instance.run("act")
    assert instance.ledger() == []
    assert "ActJob (ID 3) lost its lease; nothing was committed." in log


@pytest.mark.feature("LP-23")
@on_postgresql
def test_the_fence_watches_a_job_that_uses_another_database_in_its_session(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = create_engine("sqlite://")

    def run(job: Any) -> None:
        job.session.add(Ledger(job=1, attempt=1, note="stale"))
        job.session.flush()
        job.session.execute(text("SELECT 1"), bind_arguments={"bind": other})
        instance.query("UPDATE jobcron_job SET lease_token = lease_token + 1 WHERE id = 1")
        job.session.commit()

    make(instance, monkeypatch, run, 1)
    log = instance.run("act")
    assert instance.ledger() == []
    assert "ActJob (ID 1) lost its lease; nothing was committed." in log


@on_postgresql
@pytest.mark.parametrize("how", ["rollback", "expunge_all"])
def test_a_time_limit_stops_a_statement_of_a_job_behind_it(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def run(job: Any) -> None:
        if job.job.id == 2:
            spoil(job, how)
        elif job.job.id == 3:
            job.act_sql("SELECT pg_sleep(30)")

    monkeypatch.setattr(ActJob, "time_limit", 1.0)
    make(instance, monkeypatch, run, 3)
    started = time.monotonic()
    instance.run("act")
    assert time.monotonic() - started < 20
    assert instance.row(3).status is JobStatus.FAILED


def test_a_job_whose_rows_another_one_deletes_ends_no_run(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        if job.job.id == 2:
            job.act_sql("DELETE FROM foo_job WHERE job = 3")
            job.act_sql("DELETE FROM jobcron_job WHERE id = 3")
            job.session.commit()
            job.act_sql("SELECT 1")
            raise ValueError("after that")
        job.context.foo.frozzled += 1

    make(instance, monkeypatch, run, 5)
    started = time.monotonic()
    runner = JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    assert time.monotonic() - started < 20
    assert runner.completed["ActJob"] == 3
    completed, failed = JobStatus.COMPLETED, JobStatus.FAILED
    assert [(row.id, row.status) for row in instance.rows()] == [
        (1, completed),
        (2, failed),
        (4, completed),
        (5, completed),
    ]


def test_a_job_that_cannot_be_read_fails_alone_also_when_one_before_it_failed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ActJob.load

    def refuse_the_fourth(session: Any, numbers: list[int]) -> Any:
        if 4 in numbers:
            raise ValueError("this row cannot be read")
        return load(session, numbers)

    began = []

    def run(job: Any) -> None:
        began.append(job.session.in_transaction())
        if job.job.id == 2:
            spoil(job, "fail")
        job.context.foo.frozzled += 1

    monkeypatch.setattr(ActJob, "load", refuse_the_fourth)
    make(instance, monkeypatch, run, 5)
    instance.run("act")
    assert instance.query("SELECT frozzled FROM foo ORDER BY id") == [(1,), (0,), (1,), (0,), (1,)]
    assert began == [False] * 4
    assert len(instance.oopses()) == 2
