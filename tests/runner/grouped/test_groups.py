"""Jobs that share transactions: what becomes of them is what would have become of them one by one."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
from sqlalchemy import text

import fooapp
from fooapp import ActJob
from instances import Instance
from jobcron import Job, JobStatus
from jobcron.runner.grouped import _group, _pace

COUNT = 20

WRITE = ("write", "done")

CANCEL = "UPDATE jobcron_job SET status = 5, date_finished = date_created WHERE id = 7 AND status IN (0, 1)"


def make(instance: Instance, monkeypatch: pytest.MonkeyPatch, run: Any, count: int = COUNT) -> list[int]:
    """Make jobs that do `run`."""
    monkeypatch.setattr(ActJob, "run", run)
    return [instance.act() for _ in range(count)]


def statuses(instance: Instance) -> list[JobStatus]:
    """Return the statuses of all jobs."""
    return [row.status for row in instance.rows()]


def errors(groups: list[Any]) -> list[str]:
    """Return why groups were rolled back."""
    return [str(group.error) for group in groups if group.error is not None]


def test_jobs_of_a_group_are_completed_by_one_commit(grouped: Instance, groups: list[Any]) -> None:
    jobs = [grouped.act(WRITE) for _ in range(COUNT)]
    log = grouped.run("act")
    assert "rolled back" not in log
    assert statuses(grouped) == [JobStatus.COMPLETED] * COUNT
    assert grouped.ledger() == [(job, 1, "done") for job in jobs]
    assert [len(group.ended) for group in groups] == [1, 2, 4, 8, 4, 0]
    assert f"Ran {COUNT} ActJob jobs." in log
    assert grouped.query("SELECT count(*) FROM jobcron_group_run") == [(0,)]
    ((*counts, waited, ran),) = grouped.query("SELECT completed, incomplete, waited, ran FROM jobcron_run")
    assert counts == [COUNT, 0]
    assert waited > 0
    assert ran > 0


def test_a_row_looks_as_after_a_run_by_itself(grouped: Instance, groups: list[Any]) -> None:
    for _ in range(4):
        grouped.act(WRITE, ("progress", 40))
    grouped.run("act")
    alone, *others = grouped.rows()
    assert len(groups[-2].ended) == 2
    assert alone.date_finished is not None
    assert alone.date_started is not None
    for row in others:
        assert row.date_finished is not None
        assert row.date_started is not None
        assert row.date_created <= row.date_started <= row.date_finished
        for name in (
            "status",
            "attempt_count",
            "crash_count",
            "lease_token",
            "lease_expires",
            "claimed_by",
            "log",
        ):
            assert getattr(row, name) == getattr(alone, name), name
        assert (row.progress, row.begun_token) == (40, alone.begun_token)
    assert grouped.query("SELECT kind FROM jobcron_event") == []


def test_a_job_sees_its_own_row_as_that_of_a_running_job(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(job: Any) -> tuple[object, ...]:
        row = job.job
        return (row.status, row.attempt_count, row.lease_token, job.attempt.token, row.date_started is not None)

    def run(job: Any) -> None:
        seen.append(look(job))
        job.session.execute(text("SELECT 1"))  # from here on nothing is trusted that was read before
        seen.append(look(job))
        job.session.expire_all()
        seen.append(look(job))
        job.session.refresh(job.job)
        seen.append(look(job))

    make(grouped, monkeypatch, run, 4)
    grouped.run("act")
    assert errors(groups) == []
    assert set(seen) == {(JobStatus.RUNNING, 1, 1, 1, True)}


def test_one_that_fails_gets_its_outcome_and_the_others_theirs(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        job.act_write("done")
        if job.job.id == 6:
            job.act_raise("value")

    make(grouped, monkeypatch, run)
    log = grouped.run("act")
    assert [row.id for row in grouped.rows() if row.status is not JobStatus.COMPLETED] == [6]
    assert grouped.row(6).status is JobStatus.FAILED
    assert [job for job, _, _ in grouped.ledger()] == [n for n in range(1, COUNT + 1) if n != 6]
    assert len(grouped.oopses()) == 1
    assert "A group of 2 jobs was rolled back, and they run one by one: ValueError: no such foo" in log
    assert [len(group.ended) for group in groups][:4] == [1, 2, 0, 1]


@pytest.mark.parametrize(
    ("action", "status"),
    [
        (("raise", "user"), JobStatus.FAILED),
        (("raise", "retryable"), JobStatus.WAITING),
        (("raise", "suspend"), JobStatus.SUSPENDED),
        (("raise", "exit"), JobStatus.FAILED),
        (("raise", "memory"), JobStatus.FAILED),
        (("checkpoint", ""), JobStatus.COMPLETED),
        (("commit", ""), JobStatus.COMPLETED),
        (("sql", "COMMIT"), JobStatus.COMPLETED),
        (("later", ""), JobStatus.COMPLETED),
        (("move", "suspend"), JobStatus.SUSPENDED),
        (("move", "cancel"), JobStatus.CANCELLED),
        (("move", "fail"), JobStatus.FAILED),
        (("move_and_commit", "suspend"), JobStatus.SUSPENDED),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_only_a_job_by_itself_can_do_it_does_by_itself(
    grouped: Instance, groups: list[Any], action: tuple[str, str], status: JobStatus
) -> None:
    for number in range(1, 9):
        grouped.act(WRITE, *([action] if number == 5 else []))
    grouped.run("act")
    assert statuses(grouped) == [JobStatus.COMPLETED] * 4 + [status] + [JobStatus.COMPLETED] * 3
    assert [job for job, _, _ in grouped.ledger() if job != 5] == [1, 2, 3, 4, 6, 7, 8]
    assert len([job for job, _, _ in grouped.ledger() if job == 5]) <= 1
    assert len(errors(groups)) == 1


LEFT = ("rollback", "savepoint", "umask", "other", "swallow")


@pytest.mark.parametrize(
    ("database_url", "how"),
    [*product(("sqlite", "postgresql"), LEFT), ("sqlite", "delete")],  # PostgreSQL's role may not delete
    indirect=["database_url"],
)
def test_what_a_job_leaves_reaches_no_other_of_its_group(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    umasks = []

    def spoil(job: Any) -> None:
        if how == "rollback":
            job.session.flush()
            job.session.rollback()
        elif how == "savepoint":
            job.session.begin_nested()
        elif how == "umask":
            os.umask(0)
        elif how == "delete":
            job.act_delete("")
        elif how == "other":
            job.session.execute(text(CANCEL))
        else:
            with suppress(BaseException):
                job.checkpoint()

    def run(job: Any) -> None:
        number = job.job.id
        umasks.append(os.umask(0o22))
        os.umask(umasks[-1])
        job.session.add(fooapp.Ledger(job=number, attempt=1, note="done"))
        if number == 5:
            spoil(job)

    make(grouped, monkeypatch, run, 8)
    grouped.run("act")
    assert len(errors(groups)) == 1
    kept = {row.id: row.status for row in grouped.rows()}
    assert kept.get(6) is JobStatus.COMPLETED
    assert kept.get(8) is JobStatus.COMPLETED
    assert kept.get(7) is (JobStatus.CANCELLED if how == "other" else JobStatus.COMPLETED)
    assert (5 in kept) is (how != "delete")
    effects = [job for job, _, _ in grouped.ledger()]
    assert sorted(effects) == [
        n for n in range(1, 9) if not ((n == 5 and how == "rollback") or (n == 7 and how == "other"))
    ]
    if how != "umask":
        assert len(set(umasks)) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_settings_of_a_session_end_with_the_job_and_the_group_goes_on(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def run(job: Any) -> None:
        ask = "SELECT current_setting('application_name'), current_setting('shop.tenant', true)"
        found.append(tuple(job.session.execute(text(ask)).one()))
        job.session.execute(
            text("SELECT set_config('shop.tenant', 'mine', false), set_config('application_name', 'x', true)")
        )

    make(grouped, monkeypatch, run, 8)
    grouped.run("act")
    assert errors(groups) == []
    assert len(groups) >= 3
    assert {(name, tenant or None) for name, tenant in found} == {("jobcron", None)}


def test_a_job_sees_what_those_before_it_in_the_group_have_written(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fooapp.DoFooJob, "database_only", True)
    monkeypatch.setattr(fooapp.DoFooJob, "group_commit", True)
    with grouped.session() as session:
        foo = grouped.foo(session)
        for _ in range(COUNT):
            fooapp.DoFooJob.create(foo, session=session)
    log = grouped.run("do_foo")
    assert "rolled back" not in log
    assert grouped.query("SELECT frozzled FROM foo") == [(COUNT,)]
    assert set(statuses(grouped)) == {JobStatus.COMPLETED}
    assert len(groups) >= 6


def test_a_group_ends_when_its_time_is_over_and_the_rest_waits(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pace, "GROUP_SECONDS", 0.05)

    began = []

    def run(job: Any) -> None:
        began.append(job.job.id)
        time.sleep(0.02)

    jobs = make(grouped, monkeypatch, run)
    grouped.run("act")
    assert began == jobs
    assert errors(groups) == []
    assert set(statuses(grouped)) == {JobStatus.COMPLETED}
    assert max(len(group.ended) for group in groups) <= 4


def test_jobs_that_take_longer_than_a_group_may_run_one_by_one(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pace, "GROUP_SECONDS", 0.05)
    make(grouped, monkeypatch, lambda job: time.sleep(0.06), 8)
    grouped.run("act")
    assert len(groups) < 6
    assert set(statuses(grouped)) == {JobStatus.COMPLETED}


def test_a_job_that_takes_too_long_for_a_group_is_interrupted_and_runs_by_itself(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_group, "JOB_SECONDS", 0.2)
    monkeypatch.setattr(_pace, "GROUP_SECONDS", 0.05)
    make(grouped, monkeypatch, lambda job: time.sleep(2.5 if job.job.id == 3 else 0), 5)
    grouped.run("act")
    assert set(statuses(grouped)) == {JobStatus.COMPLETED}
    assert len(errors(groups)) == 1
    assert grouped.query("SELECT kind FROM jobcron_event") == []


def test_jobs_with_a_key_and_those_whose_process_died_run_by_themselves_and_in_order(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    began = []
    jobs = make(grouped, monkeypatch, lambda job: began.append(job.job.id), 12)
    grouped.query("UPDATE jobcron_job SET unique_key = 'one' WHERE id = 4")
    grouped.query("UPDATE jobcron_job SET crash_count = 1, attempt_count = 1 WHERE id = 8")
    grouped.run("act")
    assert began == jobs
    assert errors(groups) == []
    shared = [ended.claim.id for group in groups for ended in group.ended]
    assert not {4, 8} & set(shared)
    assert len(shared) >= 4


def test_after_the_death_of_a_group_jobs_run_one_by_one_for_a_while(grouped: Instance, groups: list[Any]) -> None:
    for _ in range(8):
        grouped.act(WRITE)
    grouped.query(
        "INSERT INTO jobcron_group_run (id, type, claimed_by, started, lease_expires) "
        "SELECT 'gone', type, 'elsewhere:1', date_created, scheduled_start FROM jobcron_job WHERE id = 1"
    )
    log = grouped.run("act")
    assert "A run whose jobs share transactions has died" in log
    assert groups == []
    assert set(statuses(grouped)) == {JobStatus.COMPLETED}
    assert grouped.query("SELECT count(*) FROM jobcron_group_run") == [(0,)]


def test_types_with_jobs_in_channels_run_one_by_one(grouped: Instance, groups: list[Any]) -> None:
    for _ in range(8):
        grouped.act(WRITE)
    grouped.query("UPDATE jobcron_job SET channel = 'narrow' WHERE id = 8")
    grouped.run("act")
    assert groups == []
    assert set(statuses(grouped)) == {JobStatus.COMPLETED}


def test_a_job_that_looks_at_another_one_of_its_group_runs_by_itself(
    grouped: Instance, groups: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        if job.job.id == 7:
            job.session.get(Job, 6)
            assert job.session.get(Job, 6).status is JobStatus.COMPLETED

    make(grouped, monkeypatch, run, 8)
    grouped.run("act")
    assert len(errors(groups)) == 1
    assert set(statuses(grouped)) == {JobStatus.COMPLETED}
