"""The sweep releases what no trigger has released, and only that."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import functionapp as typed_app
from instances import Instance
from jobcron import Job, JobStatus, chain, group
from jobcron.jobs.graphs import sweeping
from jobcron.testing import JobFactory

app: Any = typed_app

W, R, C, F, S, X, E, B = JobStatus


def make(instance: Instance, status: JobStatus) -> int:
    """Commit a job with a status, and return its number."""
    with instance.session() as session:
        return JobFactory(session).makeJob(status).id


def connect(instance: Instance, before: int, after: int, any_end: bool = False) -> None:
    """Write an edge by hand, as somebody does who knows nothing of what belongs to it."""
    instance.query(
        "INSERT INTO jobcron_edge (predecessor, successor, any_end) VALUES (:before, :after, :any_end)",
        before=before,
        after=after,
        any_end=any_end,
    )


def sweep(instance: Instance, limit: int = 1000) -> tuple[int, int]:
    """Sweep once, committed."""
    with instance.database.begin() as connection:
        return sweeping.sweep_once(connection, limit)


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("any_end", [False, True])
@pytest.mark.parametrize("before", JobStatus)
def test_an_edge_that_was_written_after_the_end_is_met_by_the_sweep(
    instance: Instance, before: JobStatus, any_end: bool
) -> None:
    job = make(instance, B)
    connect(instance, make(instance, before), job, any_end)
    is_met = before is C or (any_end and before in (F, X, E))
    assert sweep(instance) == (int(is_met), 0)
    assert instance.row(job).status is (W if is_met else B)
    assert sweep(instance) == (0, 0)


@pytest.mark.feature("OCQ-11")
def test_after_the_sweep_an_edge_that_was_written_by_hand_is_met_by_the_end(instance: Instance) -> None:
    before, job = make(instance, W), make(instance, B)
    connect(instance, before, job)
    sweep(instance)
    with instance.session() as session:
        session.get_one(Job, before).complete()
    assert instance.row(job).status is W


@pytest.mark.feature("OCQ-11")
def test_a_job_that_waits_for_two_is_released_when_both_have_ended(instance: Instance) -> None:
    job, ended, pending = make(instance, B), make(instance, C), make(instance, W)
    connect(instance, ended, job)
    connect(instance, pending, job)
    assert sweep(instance) == (0, 0)
    instance.query("UPDATE jobcron_job SET has_successors = FALSE")
    instance.query("UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = :id", id=pending)
    assert sweep(instance) == (1, 0)


@pytest.mark.feature("OCQ-11")
def test_a_blocked_job_of_which_nobody_knows_why_is_left_alone(instance: Instance) -> None:
    job = make(instance, B)
    assert sweep(instance) == (0, 0)
    assert instance.row(job).status is B


@pytest.mark.feature("OCQ-11")
def test_a_blocked_job_expires(instance: Instance) -> None:
    with instance.session() as session:
        first, last = app.export.planned("a"), app.export.planned("b")
        made = chain(first, app.export.planned("between"), last, on="any end").create(session=session)
    between = made.jobs[1]
    instance.query("UPDATE jobcron_job SET expires_at = '2026-01-01 00:00:00.000000' WHERE id = :id", id=between)
    assert sweep(instance) == (0, 1)
    assert (instance.row(between).status, instance.events(between)) == (E, ["expired"])
    assert instance.row(made[last]).status is W


@pytest.mark.feature("OCQ-11")
def test_a_sweep_looks_for_wrong_marks_at_some_jobs_and_several_reach_all(instance: Instance) -> None:
    jobs = [make(instance, B) for _ in range(6)]
    ended = make(instance, C)
    connect(instance, ended, jobs[-1])
    released = [sweep(instance, limit=2) for _ in range(60)]
    assert sum(number for number, _ in released) == 1
    assert instance.row(jobs[-1]).status is W


@pytest.mark.feature("OCQ-11")
def test_each_sweep_finds_marked_and_expired_jobs_among_more_than_it_looks_at(instance: Instance) -> None:
    one = make(instance, B)
    instance.multiply(one, 200, status="7")
    stranded, over = make(instance, B), make(instance, B)
    connect(instance, make(instance, C), stranded)
    instance.query("UPDATE jobcron_edge SET is_met = TRUE")
    instance.query("UPDATE jobcron_job SET expires_at = '2026-01-01 00:00:00.000000' WHERE id = :id", id=over)
    instance.multiply(one, 200, status="7")
    assert sweep(instance, limit=2) == (1, 1)
    assert [instance.row(job).status for job in (one, stranded, over)] == [B, W, E]


@pytest.mark.feature("OCQ-11")
def test_a_sweep_acts_on_a_limited_number_of_jobs(instance: Instance) -> None:
    before = make(instance, C)
    for _ in range(3):
        connect(instance, before, make(instance, B))
    instance.query("UPDATE jobcron_edge SET is_met = TRUE")
    assert [sweep(instance, limit=2) for _ in range(3)] == [(2, 0), (1, 0), (0, 0)]


@pytest.mark.feature("OCQ-11")
def test_a_run_sweeps_and_says_what_it_has_released(instance: Instance, caplog: pytest.LogCaptureFixture) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(B, type_name="foo_job.ACT").id
    connect(instance, make(instance, C), job)
    with caplog.at_level(logging.INFO):
        sweeping.sweep(instance.database, logging.getLogger("test"))
    assert "Released 1 job whose predecessors had ended without releasing them." in caplog.text
    before, after = make(instance, C), make(instance, B)
    connect(instance, before, after)
    instance.run("act")
    assert instance.row(after).status is W


@pytest.mark.feature("OCQ-11")
def test_two_ends_that_do_not_see_each_other_are_found_by_the_sweep(
    tmp_path: Path, jobcron_postgresql: str
) -> None:
    instance = Instance(tmp_path / "instance", jobcron_postgresql)
    with instance.session() as session:
        a, b, c = (app.export.planned(name) for name in "abc")
        made = group(a, b).on_done(c).create(session=session)
    engine = instance.database.engine.execution_options(isolation_level="REPEATABLE READ")
    end = "UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = "
    with closing(instance.database), engine.connect() as one, engine.connect() as two:
        for connection in (one, two):
            connection.exec_driver_sql("SELECT 1 FROM jobcron_job")
        for connection, job in ((one, a), (two, b)):
            connection.exec_driver_sql(f"{end}{made[job]}")
            connection.commit()
        assert instance.row(made[c]).status is B
        assert sweep(instance) == (1, 0)
        assert instance.row(made[c]).status is W
