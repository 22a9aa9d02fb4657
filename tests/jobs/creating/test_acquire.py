"""Acquiring a job: one for a target, also where many do it at once or their transactions are open."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from fooapp import ActJob, DoFooJob, Foo
from guestapp import AboutAnythingJob, Company, Customer, Line
from instances import Instance
from jobcron import BaseRunnableJob, InvalidDuration, InvalidJobData, Job, JobStatus, chain
from jobcron.database.clock import database_now
from jobcron.steps import job_class
from query_cost import noted_statements
from races import race
from runner_processes import seen, started
from steps_jobs import look, make, notes

WRITE = ("write", "effect")


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


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize("between", [0, 1, 3])
@pytest.mark.parametrize(
    ("end", "same"),
    [("nothing", True), ("suspend", True), ("fail", False), ("cancel", False), ("delete", False)],
)
def test_a_job_that_waits_for_one_that_has_ended_otherwise_is_not_acquired(
    instance: Instance, end: str, same: bool, between: int
) -> None:
    with instance.session() as session:
        foo, other = instance.foo(session), instance.foo(session, "between")
        before, after = ActJob.planned(foo, unique_key="first"), ActJob.planned(foo)
        made = chain(before, *(ActJob.planned(other) for _ in range(between)), after).create(session=session)
        first, second = ActJob.get(made[before], session=session), ActJob.get(made[after], session=session)
        if end == "fail":
            first.job.start()
        if end in ("suspend", "cancel", "fail"):
            getattr(first.job, end)()
        elif end == "delete":
            session.execute(text("DELETE FROM jobcron_job WHERE id = :id"), {"id": first.job.id})
        found = ActJob.acquire(foo, session=session)
        assert (found.job.id == second.job.id) == same
        assert found.job.status is (JobStatus.BLOCKED if same else JobStatus.WAITING)


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize("between", [0, 1])
@pytest.mark.parametrize(
    ("values", "waits_for", "same"),
    [
        ({"_status": JobStatus.WAITING}, "success", False),
        ({"_status": JobStatus.WAITING}, "any end", True),
        ({"_status": JobStatus.WAITING, "begun_token": 1, "lease_token": 1}, "success", True),
        ({"_status": JobStatus.RUNNING, "lease_token": 1, "lease_expires": database_now()}, "success", True),
        ({"_status": JobStatus.SUSPENDED}, "success", True),
    ],
    ids=["waits", "waits, and any end will do", "has begun", "runs", "is suspended"],
)
def test_a_job_that_waits_for_one_whose_expiry_is_past_is_acquired_only_if_that_one_will_run(
    instance: Instance, values: dict[str, Any], waits_for: str, same: bool, between: int
) -> None:
    with instance.session() as session:
        foo, other = instance.foo(session), instance.foo(session, "between")
        before, after = ActJob.planned(foo, unique_key="first"), ActJob.planned(foo)
        rest = chain(*(ActJob.planned(other) for _ in range(between)), after)
        graph = before.on_end(rest) if waits_for == "any end" else chain(before, rest)
        made = graph.create(session=session)
        past = datetime.now(UTC) - timedelta(hours=1)
        session.execute(update(Job).where(Job.id == made[before]).values(expires_at=past, **values))
        found = ActJob.acquire(foo, session=session)
        assert (found.job.id == made[after]) == same


@pytest.mark.feature("LP-09")
def test_of_two_jobs_that_wait_the_one_is_acquired_whose_predecessors_run(instance: Instance) -> None:
    with instance.session() as session:
        foo, other = instance.foo(session), instance.foo(session, "between")
        chains = []
        for key in ("stopped", "running"):
            plans = (ActJob.planned(foo, unique_key=key), ActJob.planned(other), ActJob.planned(foo))
            made = chain(*plans).create(session=session)
            chains.append([ActJob.get(made[plan], session=session) for plan in plans])
        (stopped, *_), (*_, waiting) = chains
        stopped.job.cancel()
        assert ActJob.acquire(foo, session=session).job.id == waiting.job.id


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
@pytest.mark.parametrize("made_by", ["create", "acquire"])
@pytest.mark.parametrize(
    ("values", "same"),
    [
        ({"expires_at": datetime.now(UTC) - timedelta(hours=1)}, False),
        ({"expires_at": datetime.now(UTC) + timedelta(hours=1)}, True),
        ({"begun_token": 1, "lease_token": 1}, False),
    ],
    ids=["has expired", "will expire", "has begun"],
)
def test_a_job_is_acquired_only_if_it_will_run_from_its_beginning(
    session: Session, foo: Foo, made_by: str, values: dict[str, Any], same: bool
) -> None:
    old = getattr(DoFooJob, made_by)(foo)
    session.execute(update(Job).where(Job.id == old.job.id).values(values))
    found = DoFooJob.acquire(foo)
    assert (found == old) is same
    assert found.status is JobStatus.WAITING
    assert DoFooJob.acquire(foo) == found


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize("made_by", ["create", "acquire"])
def test_an_acquired_job_is_written_to_and_read_again(session: Session, foo: Foo, made_by: str) -> None:
    old = getattr(DoFooJob, made_by)(foo)
    change = update(Job).where(Job.id == old.job.id).values(description="changed elsewhere")
    session.execute(change, execution_options={"synchronize_session": False})
    assert old.description is None
    with noted_statements() as noted:
        assert DoFooJob.acquire(foo).description == "changed elsewhere"
    assert any(text.startswith(("UPDATE", "INSERT")) for text, _ in noted)


@pytest.mark.feature("LP-09")
def test_jobs_about_any_object_have_keys_with_its_class(guest_session: Session) -> None:
    customer, company = Customer(), Company()
    guest_session.add_all([customer, company])
    guest_session.flush()
    line = Line(customer_id=customer.id, code="a")
    guest_session.add(line)
    guest_session.flush()
    jobs = [AboutAnythingJob.acquire(one) for one in (customer, company, line)]
    assert len({job.id for job in jobs}) == 3
    keys = [job.job.unique_key for job in jobs]
    assert keys == ["guestapp.Customer 1", "guestapp.Customer 2", 'guestapp.Line [1, "a"]']
    assert [AboutAnythingJob.acquire(one) for one in (customer, company, line)] == jobs


@pytest.mark.feature("LP-09", "DBQ-02")
def test_a_job_of_several_tasks_that_waits_for_its_second_task_is_not_acquired(steps: Instance) -> None:
    old = make(steps, "plain", {"second": [("raise", "no cat")]}, unique_key="k")
    steps.run("plain")
    with steps.session() as session:
        session.get_one(Job, old).queue()
    assert (look(steps, "plain", old)["next"], notes(steps, old)) == ("second", ["first"])
    with steps.session() as session:
        new = job_class("plain").acquire(unique_key="k", session=session).id
    assert new != old
    steps.run("plain")
    assert notes(steps, new) == ["first", "second", "third"]
    assert [row.status for row in steps.rows()] == [JobStatus.FAILED, JobStatus.COMPLETED]  # both ran, in order


def starts_in(session: Session, job: BaseRunnableJob[Any]) -> float:
    """Return in how many seconds a job starts, by the database's clock."""
    session.refresh(job.job)
    now = session.scalar(select(database_now()))
    assert now is not None
    wait: timedelta = job.job.scheduled_start - now
    return wait.total_seconds()


def grow_older(session: Session, job: BaseRunnableJob[Any], seconds: float) -> None:
    """Let a job have been created, and be due, so many seconds earlier."""
    row = job.job
    row.date_created -= timedelta(seconds=seconds)
    row.scheduled_start -= timedelta(seconds=seconds)
    session.flush()


@pytest.mark.feature("OCQ-09")
@pytest.mark.parametrize("made_by", ["acquire", "create"])
def test_each_call_pushes_the_start_back_up_to_a_limit(session: Session, foo: Foo, made_by: str) -> None:
    if made_by == "create":
        ActJob.create(foo)
    job = ActJob.acquire(foo, debounce=30, at_most=300)
    assert 25 < starts_in(session, job) <= 30
    grow_older(session, job, 20)
    assert 5 < starts_in(session, job) <= 10
    assert ActJob.acquire(foo, debounce=timedelta(seconds=30), at_most=300) == job
    assert 25 < starts_in(session, job) <= 30
    grow_older(session, job, 265)
    ActJob.acquire(foo, debounce=30, at_most=300)
    assert 10 < starts_in(session, job) <= 15  # 285 seconds have passed of 300
    ActJob.acquire(foo, debounce=30)
    assert 25 < starts_in(session, job) <= 30  # without a limit


@pytest.mark.feature("OCQ-09")
def test_a_start_that_is_later_already_stays_and_without_debounce_nothing_moves(
    session: Session, foo: Foo
) -> None:
    job = ActJob.acquire(foo, scheduled_start=datetime.now(UTC) + timedelta(hours=1))
    before = starts_in(session, job)
    ActJob.acquire(foo, debounce=30, at_most=300)
    ActJob.acquire(foo)
    assert before - 10 < starts_in(session, job) <= before


@pytest.mark.feature("OCQ-09")
def test_a_limit_shorter_than_the_wait_is_the_wait(session: Session, foo: Foo) -> None:
    assert 5 < starts_in(session, ActJob.acquire(foo, debounce=30, at_most=10)) <= 10


@pytest.mark.feature("OCQ-09")
@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"at_most": 5}, InvalidJobData, "expected at_most together with debounce, got it alone"),
        (
            {"debounce": 5, "scheduled_start": datetime.now(UTC)},
            InvalidJobData,
            "either debounce or a start, got both",
        ),
        ({"debounce": 0}, InvalidDuration, "debounce"),
        ({"debounce": 5, "at_most": "soon"}, InvalidDuration, "at_most"),
    ],
)
def test_a_debounce_that_makes_no_sense_is_refused(
    session: Session, foo: Foo, values: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ActJob.acquire(foo, **values)
    assert session.scalars(select(Job)).all() == []
