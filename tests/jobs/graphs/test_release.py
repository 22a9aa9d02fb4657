"""What waits is released by the transaction that ends the last job before it, whoever ends that, and once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, select, text

import functionapp as typed_app
from fooapp import ActJob, DoFooJob
from instances import Instance
from jobcron import Database, Job, JobStatus, chain, group
from jobcron.database.tables import EdgeRow
from jobcron.jobs.graphs.sweeping import sweep_once
from jobcron.operations.acts import act_on_jobs, cancel, set_done
from jobcron.queue import finish
from jobcron.queue.claim import Claimant, claim_one
from jobcron.queue.finish import set_aside
from jobcron.queue.outcome import Stopped
from migrations import upgrade_again_from
from races import race

app: Any = typed_app

W, R, C, F, S, X, E, B = JobStatus


def pair(instance: Instance, on: Any = "success", *, do: list[list[Any]] | None = None) -> tuple[int, int]:
    """Commit a job that does something and another one that waits for it; return their numbers."""
    with instance.session() as session:
        foo = instance.foo(session)
        first = ActJob.planned(foo, metadata={"do": do or [["write", "first"]]})
        made = chain(first, ActJob.planned(foo, metadata={"do": [["write", "second"]]}), on=on)
        one, two = made.create(session=session).jobs
    return one, two


def status(instance: Instance, job: int) -> JobStatus:
    """Return a job's status as it is committed."""
    return instance.row(job).status


@pytest.mark.feature("OCQ-11")
def test_a_job_runs_in_the_same_run_after_the_one_that_it_waits_for(instance: Instance) -> None:
    one, two = pair(instance)
    log = instance.run("act")
    assert "Ran 2 ActJob jobs." in log
    assert [(job, note) for job, _, note in instance.ledger()] == [(one, "first"), (two, "second")]


ENDS: dict[str, tuple[Callable[[Instance, int], Any], JobStatus]] = {
    "a run": (lambda instance, job: instance.run("act"), C),
    "complete by hand": (lambda instance, job: move(instance, job, "complete"), C),
    "set-done": (lambda instance, job: act(instance, job, set_done()), C),
    "SQL": (
        lambda instance, job: instance.query(
            "UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = :id", id=job
        ),
        C,
    ),
    "cancel by hand": (lambda instance, job: move(instance, job, "cancel"), X),
    "the act cancel": (lambda instance, job: act(instance, job, cancel()), X),
    "expiry": (lambda instance, job: expire(instance, job), E),
    "an error": (lambda instance, job: fail(instance, job), F),
    "poison": (lambda instance, job: poison(instance, job), F),
}  # fmt: skip


def move(instance: Instance, job: int, method: str) -> None:
    """Call a method of a job's row."""
    with instance.session() as session:
        getattr(session.get_one(Job, job), method)()


def act(instance: Instance, job: int, how: Any) -> None:
    """Do something to a job as an operator."""
    with instance.database.begin() as connection:
        assert act_on_jobs(connection, how, [job]).moved == (job,)


def expire(instance: Instance, job: int) -> None:
    """Let a job expire."""
    instance.query("UPDATE jobcron_job SET expires_at = '2026-01-01 00:00:00.000000' WHERE id = :id", id=job)
    instance.run("act")


def fail(instance: Instance, job: int) -> None:
    """Let a job fail."""
    with instance.session() as session:
        ActJob.get(job, session=session).metadata = {"do": [["raise", "value"]]}
    instance.run("act")


def poison(instance: Instance, job: int) -> None:
    """Let a job be stopped because its process died too often."""
    instance.query("UPDATE jobcron_job SET crash_count = 3 WHERE id = :id", id=job)
    instance.run("act")


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("on", ["success", "any end"])
@pytest.mark.parametrize("end", ENDS)
def test_whoever_ends_a_job_releases_what_waits_for_it_or_leaves_it_blocked(
    instance: Instance, end: str, on: str
) -> None:
    one, two = pair(instance, on)
    how, expected = ENDS[end]
    how(instance, one)
    assert status(instance, one) is expected
    is_released = status(instance, two) in (W, C)  # the same run may have run it as well
    assert is_released is (expected is C or on == "any end")
    if is_released:
        instance.run("act")
        assert status(instance, two) is C
    else:
        assert status(instance, two) is B


@pytest.mark.feature("OCQ-11")
def test_retrying_what_failed_goes_on(instance: Instance) -> None:
    one, two = pair(instance, do=[["raise", "value"]])
    instance.run("act")
    assert (status(instance, one), status(instance, two)) == (F, B)
    with instance.session() as session:
        ActJob.get(one, session=session).metadata = {"do": []}
        session.get_one(Job, one).queue()
    assert status(instance, two) is B
    instance.run("act")
    assert (status(instance, one), status(instance, two)) == (C, C)


@pytest.mark.feature("OCQ-11")
def test_a_retry_or_a_suspension_of_what_is_waited_for_releases_nothing(instance: Instance) -> None:
    one, two = pair(instance, "any end", do=[["raise", "retryable"]])
    instance.run("act")
    assert (status(instance, one), status(instance, two)) == (W, B)
    move(instance, one, "suspend")
    assert status(instance, two) is B


@pytest.mark.feature("OCQ-11")
def test_a_job_that_completed_and_runs_again_is_waited_for_again(instance: Instance) -> None:
    with instance.session() as session:
        a, b, c = (app.export.planned(name) for name in "abc")
        made = group(a, b).on_done(c).create(session=session)
    move(instance, made[a], "complete")
    move(instance, made[a], "queue")
    move(instance, made[b], "complete")
    assert status(instance, made[c]) is B
    move(instance, made[a], "complete")
    assert status(instance, made[c]) is W


@pytest.mark.feature("OCQ-11")
def test_two_last_predecessors_that_end_at_once_release_what_waits_for_them_once(instance: Instance) -> None:
    """The second one waits for the first one's commit, and sees it."""
    with instance.session() as session:
        a, b, c = (app.export.planned(name) for name in "abc")
        made = group(a, b).on_done(c).create(session=session)
    end = text("UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = :id")
    other = Database(instance.url)

    def end_the_other() -> None:
        with other.begin() as connection:
            has_begun.set()
            connection.execute(end, {"id": made[b]})

    has_begun = threading.Event()
    thread = threading.Thread(target=end_the_other)
    with closing(other):
        with instance.database.begin() as connection:
            connection.execute(end, {"id": made[a]})
            thread.start()
            if instance.database.dialect == "postgresql":
                has_begun.wait(30)
            thread.join(0.5)
            assert thread.is_alive()
        thread.join(30)
    assert not thread.is_alive()
    assert status(instance, made[c]) is W


@pytest.mark.feature("OCQ-11")
def test_runners_that_race_release_each_job_once(instance: Instance) -> None:
    graphs = 25
    with instance.session() as session:
        for _ in range(graphs):
            foo = instance.foo(session)
            before = group(*(DoFooJob.planned(instance.foo(session)) for _ in range(3)))
            before.on_done(DoFooJob.planned(foo)).create(session=session)
    done = race(instance, "run", 3)
    assert sum(done) == 4 * graphs
    assert instance.query("SELECT frozzled, count(*) FROM foo GROUP BY frozzled") == [(1, 4 * graphs)]
    order = instance.query(
        "SELECT count(*) FROM jobcron_edge AS edge JOIN jobcron_job AS before ON before.id = edge.predecessor "
        "JOIN jobcron_job AS after ON after.id = edge.successor WHERE after.date_started < before.date_finished"
    )
    assert order == [(0,)]


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("on", ["success", "any end"])
def test_a_job_that_another_one_supersedes_hands_on_what_waits_for_it(instance: Instance, on: Any) -> None:
    once = app.export.options(identity_key="k")
    with instance.session() as session:
        before, after = once.planned("partner"), app.export.planned("after")
        made = chain(before, after, on=on).create(session=session)
    with instance.session() as session:
        (claimed,) = claim_one(session.connection(), made[before], Claimant("a run", 300.0))
    with instance.session() as session:
        twin = session.scalars(select(Job.id).where(Job.uuid == UUID(once.delay(session, "partner")))).one()
    assert set_aside(instance.database, claimed, Stopped()) is not None
    assert (status(instance, made[before]), status(instance, made[after])) == (X, B)
    assert instance.query("SELECT predecessor, successor FROM jobcron_edge") == [(twin, made[after])]
    move(instance, twin, "complete")
    assert status(instance, made[after]) is W


@pytest.mark.feature("OCQ-11")
def test_an_edge_goes_with_the_job_that_waits(instance: Instance) -> None:
    one, two = pair(instance)
    with instance.session() as session:
        session.delete(ActJob.get(two, session=session).context)
        session.delete(session.get_one(Job, two))
        session.flush()
        assert session.scalars(select(EdgeRow)).all() == []
    move(instance, one, "complete")


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_role_that_could_end_jobs_before_the_upgrade_releases_after_it(instance: Instance) -> None:
    upgrade_again_from(instance, "0012")
    one, two = pair(instance)
    instance.command("run", "act")  # as foo_runner
    assert (status(instance, one), status(instance, two)) == (C, C)


TOGETHER: dict[str, Callable[[Connection, list[int]], Any]] = {
    "an act": lambda connection, jobs: act_on_jobs(connection, cancel(), jobs),
    "expiry": lambda connection, jobs: expire_type(connection, 100),
    "the sweep": lambda connection, jobs: sweep_once(connection),
}


def expire_type(connection: Connection, batch: int) -> None:
    """End the jobs of functions that have expired, as a run does."""
    type_id = connection.scalar(select(Job.type_id))
    assert type_id is not None
    finish.expire(connection, type_id, batch)


@pytest.mark.feature("OCQ-11")
@pytest.mark.parametrize("how", TOGETHER)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_ends_several_jobs_and_who_ends_one_do_not_wait_for_each_other(instance: Instance, how: str) -> None:
    """The ends of several lock what waits for them all in one order, whichever of them is written first."""
    with instance.session() as session:
        made = group(*(app.export.planned(str(n)) for n in range(5))).create(session=session)
    one, two, other, first, last = sorted(made.jobs)
    for before, after in ((one, last), (two, first), (other, first), (other, last)):
        instance.query(f"INSERT INTO jobcron_edge VALUES ({after}, {before}, TRUE)")
    instance.query(f"UPDATE jobcron_job SET has_successors = TRUE WHERE id <= {other}")
    status_before = 7 if how == "the sweep" else 0
    instance.query(f"UPDATE jobcron_job SET status = {status_before}, expires_at = '2026-01-01' WHERE id <= {two}")
    instance.query(f"UPDATE jobcron_job SET status = 7 WHERE id >= {first}")

    def end_several() -> None:
        with instance.database.begin() as connection:
            TOGETHER[how](connection, [one, two])

    with ThreadPoolExecutor(2) as pool, instance.database.begin() as connection:
        connection.execute(select(Job.id).where(Job.id == first).with_for_update(key_share=True))
        ends = [pool.submit(move, instance, other, "complete")]
        wait(ends, 0.5)
        ends.append(pool.submit(end_several))
        assert len(wait(ends, 0.5).not_done) == 2
        connection.commit()
        for end in ends:
            end.result(30)
    assert [status(instance, job) for job in (other, first, last)] == [C, W, W]
