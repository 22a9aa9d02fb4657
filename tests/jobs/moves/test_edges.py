"""Moves by hand of jobs that wait for others, and of those that are waited for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import functionapp as typed_app
from instances import Instance
from jobcron import Job, JobStatus, chain, group
from jobcron.database.database import Database
from jobcron.database.tables import jobs_connection
from jobcron.jobs.moves.bulk_moves import ENDING
from jobcron.jobs.moves.edges import graph_of, is_waited_for
from jobcron.jobs.moves.undoing import put_back
from jobcron.operations.acts import Act, Bulk, act_on_jobs, act_on_selection, cancel, delete, retry, set_done
from jobcron.operations.selection import Selection
from jobcron.operations.undo import undo_act

app: Any = typed_app

W, R, C, F, S, X, E, B = JobStatus

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def make_chain(instance: Instance, length: int = 3, on: Any = "success") -> list[int]:
    """Commit a chain of jobs, and return their numbers."""
    with instance.session() as session:
        made = chain(*(app.export.planned(str(n)) for n in range(length)), on=on).create(session=session)
    return list(made.jobs)


def statuses(instance: Instance, jobs: list[int]) -> list[JobStatus]:
    """Return the statuses of jobs as they are committed."""
    return [instance.row(job).status for job in jobs]


def act_on_graph(database: Database, act: Act, job: int) -> int | None:
    """Do something to the graph of a job; return the number of the act."""
    (outcome,) = act_on_selection(database, act, Selection(graph=job))
    assert outcome.refused == ()
    return outcome.act


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("on", ["success", "any end"])
def test_a_whole_graph_is_cancelled_and_retried_in_its_order(instance: Instance, on: str) -> None:
    jobs, others = make_chain(instance, on=on), make_chain(instance)
    act_on_graph(instance.database, cancel(), jobs[1])
    assert statuses(instance, jobs) == [X, X, X]
    assert statuses(instance, others) == [W, B, B]
    act_on_graph(instance.database, retry(), jobs[2])
    assert statuses(instance, jobs) == [W, B, B]
    for job, after in zip(jobs, [*jobs[1:], None], strict=True):
        with instance.session() as session:
            session.get_one(Job, job).complete()
        if after is not None:
            assert instance.row(after).status is W


@pytest.mark.feature("OCQ-11")
def test_a_graph_that_has_completed_runs_again_in_its_order(instance: Instance) -> None:
    jobs = make_chain(instance)
    for job in jobs:
        with instance.session() as session:
            session.get_one(Job, job).complete()
    again = Selection(graph=jobs[0], statuses=(C,))
    (outcome,) = act_on_selection(instance.database, retry(), again)
    assert len(outcome.moved) == 3
    assert statuses(instance, jobs) == [W, B, B]


@pytest.mark.feature("OCQ-11")
def test_the_cancelling_of_a_graph_is_undone(instance: Instance) -> None:
    jobs = make_chain(instance)
    act = act_on_graph(instance.database, cancel(), jobs[0])
    assert act is not None
    list(undo_act(instance.database, act))
    assert statuses(instance, jobs) == [W, B, B]


@pytest.mark.feature("OCQ-11")
def test_what_is_put_back_does_not_wait_for_what_has_ended_meanwhile(instance: Instance) -> None:
    jobs = make_chain(instance)
    (outcome,) = act_on_selection(instance.database, cancel(), Selection(ids=tuple(jobs[1:])))
    with instance.session() as session:
        session.get_one(Job, jobs[0]).complete()
    assert outcome.act is not None
    list(undo_act(instance.database, outcome.act))
    assert statuses(instance, jobs) == [C, W, B]


@pytest.mark.feature("OCQ-11")
def test_what_is_put_back_waits_for_what_is_put_back_later(instance: Instance) -> None:
    one, two = make_chain(instance, 2, on="any end")
    instance.query("UPDATE jobcron_edge SET successor = :one, predecessor = :two", one=one, two=two)
    instance.query("UPDATE jobcron_job SET status = 7, has_successors = FALSE WHERE id = :one", one=one)
    instance.query("UPDATE jobcron_job SET status = 0, has_successors = TRUE WHERE id = :two", two=two)
    act = act_on_graph(instance.database, cancel(), one)
    assert act is not None
    list(undo_act(instance.database, act, Bulk(batch=1)))
    assert statuses(instance, [one, two]) == [B, W]


@pytest.mark.feature("OCQ-11")
def test_a_blocked_job_is_set_done_and_what_waits_for_it_goes_on(instance: Instance) -> None:
    jobs = make_chain(instance)
    with instance.database.begin() as connection:
        assert act_on_jobs(connection, set_done(), [jobs[1]]).moved == (jobs[1],)
    assert statuses(instance, jobs) == [W, C, W]


@pytest.mark.feature("OCQ-11")
def test_a_retry_of_a_blocked_job_does_not_wait_and_one_of_a_cancelled_job_does(instance: Instance) -> None:
    jobs = make_chain(instance)
    with instance.database.begin() as connection:
        act_on_jobs(connection, cancel(), [jobs[1]])
        act_on_jobs(connection, retry(), [jobs[1]])
    assert statuses(instance, jobs) == [W, B, B]
    with instance.session() as session:
        job = session.get_one(Job, jobs[1])
        job.cancel()
        job.queue()
        assert job.status is B
        job.queue()
        assert job.status is W


@pytest.mark.feature("OCQ-11")
def test_the_graph_of_a_job_is_all_that_edges_connect_with_it(session: Session) -> None:
    a, b, c, d, alone = (app.export.planned(name) for name in "abcde")
    made = chain(a, group(b, c), d).create(session=session)
    other = alone.create(session=session)
    for job in made.jobs:
        assert sorted(session.scalars(graph_of(job))) == sorted(made.jobs)
    assert list(session.scalars(graph_of(other[alone]))) == [other[alone]]


@pytest.mark.feature("OCQ-11")
def test_what_is_waited_for_is_not_deleted_before_what_waits_has_ended(instance: Instance) -> None:
    jobs = make_chain(instance, 2)
    with instance.session() as session:
        session.get_one(Job, jobs[0]).complete()
        assert list(session.scalars(select(Job.id).where(is_waited_for()))) == [jobs[0]]
    with instance.database.begin() as connection:
        outcome = act_on_jobs(connection, delete(), [jobs[0]])
    assert [(refusal.job, refusal.reason) for refusal in outcome.refused] == [
        (jobs[0], "a job that has not ended has it as predecessor")
    ]
    with instance.session() as session:
        session.get_one(Job, jobs[1]).complete()
    with instance.database.begin() as connection:
        assert act_on_jobs(connection, delete(), [jobs[0]]).moved == (jobs[0],)
    assert instance.query("SELECT count(*) FROM jobcron_edge") == [(1,)]
    with instance.database.begin() as connection:
        assert act_on_jobs(connection, delete(), [jobs[1]]).moved == (jobs[1],)
    assert instance.query("SELECT count(*) FROM jobcron_edge") == [(0,)]


def end(instance: Instance, job: int) -> None:
    """Complete a job, committed."""
    with instance.session() as session:
        session.get_one(Job, job).complete()


AGAIN: dict[str, Callable[[Session, int, int], Any]] = {
    "queue()": lambda session, job, act: session.get_one(Job, job).queue(),
    "retry": lambda session, job, act: act_on_jobs(jobs_connection(session), retry(), [job]),
    "undo": lambda session, job, act: put_back(jobs_connection(session), act, [job], "ada"),
}


def cancelled_pair(instance: Instance) -> tuple[int, int, int]:
    """Commit a job, another one that waited for it and is cancelled; return their numbers, and that of the act."""
    one, two = make_chain(instance, 2)
    (outcome,) = act_on_selection(instance.database, cancel(), Selection(ids=(two,)))
    assert outcome.act is not None
    return one, two, outcome.act


@on_postgresql
@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("how", AGAIN)
def test_whoever_ends_a_predecessor_waits_for_who_makes_a_job_wait_for_it_again(
    instance: Instance, how: str
) -> None:
    one, two, act = cancelled_pair(instance)
    with ThreadPoolExecutor(1) as pool, instance.database.session() as session:
        AGAIN[how](session, two, act)
        ended = pool.submit(end, instance, one)
        assert wait([ended], 0.5).not_done
        session.commit()
        ended.result(30)
    assert statuses(instance, [one, two]) == [C, W]


@on_postgresql
@pytest.mark.feature("OCQ-11")
def test_who_makes_a_job_wait_again_waits_for_whoever_ends_its_predecessor(instance: Instance) -> None:
    one, two, _ = cancelled_pair(instance)

    def requeue() -> None:
        with instance.session() as session:
            session.get_one(Job, two).queue()

    with ThreadPoolExecutor(1) as pool, instance.database.session() as session:
        session.get_one(Job, one).complete()
        requeued = pool.submit(requeue)
        assert wait([requeued], 0.5).not_done
        session.commit()
        requeued.result(30)
    assert statuses(instance, [one, two]) == [C, W]


@on_postgresql
@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("how", ["retry", "undo"])
def test_an_act_passes_over_a_job_whose_predecessor_somebody_ends(instance: Instance, how: str) -> None:
    one, two, act = cancelled_pair(instance)
    with instance.database.session() as session, instance.session() as other:
        session.get_one(Job, one).complete()
        done = AGAIN[how](other, two, act)
        assert done.moved == ()
        assert ENDING in str(done.refused)
        session.commit()
    with instance.session() as session:
        assert AGAIN[how](session, two, act).moved == (two,)
    assert statuses(instance, [one, two]) == [C, W]
