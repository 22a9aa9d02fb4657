"""Moves of a job's status by hand: which are legal, and whose transaction they are part of."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy.orm import Session

from fooapp import ActJob
from instances import Instance
from jobcron import DuplicateJob, InvalidTransition, Job, JobStatus
from jobcron.testing import JobFactory
from moves import LEGAL

W, R, C, F, S, X, E, B = JobStatus


@pytest.mark.feature("LP-03")
def test_moves_by_hand_follow_the_same_table(session: Session) -> None:
    factory = JobFactory(session)
    methods = {"start": R, "complete": C, "fail": F, "suspend": S, "cancel": X, "queue": W}
    for status, (name, requested) in itertools.product(JobStatus, methods.items()):
        if name == "queue" and status is W:
            continue
        job = factory.makeJob(status)
        if requested in LEGAL[status]:
            getattr(job, name)()
            assert job.status is requested
        else:
            with pytest.raises(InvalidTransition, match=f"Transition from {status.title} to {requested.title}"):
                getattr(job, name)()
            assert job.status is status


@pytest.mark.feature("LP-03")
def test_start_begins_an_attempt_and_complete_ends_it(session: Session) -> None:
    job = JobFactory(session).makeJob()
    job.start()
    assert (job.status, job.attempt_count, job.lease_token) == (R, 1, 1)
    assert 290 <= job.getTimeout() <= 300
    assert job.date_started is not None
    job.complete()
    assert job.date_finished is not None
    assert (job.status, job.lease_expires, job.is_pending) == (C, None, False)


@pytest.mark.feature("LP-03")
def test_queue_brings_a_failed_job_back_afresh_and_keeps_its_history(instance: Instance) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(F, attempt_count=3, crash_count=1, lease_token=5)
        number = job.id
        job.queue()
    row = instance.row(number)
    assert (row.status, row.attempt_count, row.crash_count, row.lease_token) == (W, 0, 0, 5)
    assert row.date_finished is None
    ((actor, kind, detail),) = instance.query("SELECT actor, kind, detail FROM jobcron_event")
    assert (kind, detail) == ("requeued", "attempt_count was 3, crash_count was 1")
    assert "@" in actor


@pytest.mark.feature("LP-03")
def test_queue_leaves_a_waiting_job_as_it_is(session: Session) -> None:
    job = JobFactory(session).makeJob(attempt_count=2)
    job.queue()
    assert (job.status, job.attempt_count) == (W, 2)


@pytest.mark.feature("LP-03")
def test_fail_with_manage_transaction_undoes_what_came_before(instance: Instance) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(R)
        session.commit()
        instance.foo(session, "half done")
        job.fail(manage_transaction=True)
        session.rollback()
        number = job.id
    assert instance.row(number).status is F
    assert instance.query("SELECT name FROM foo") == []


@pytest.mark.feature("LP-03")
def test_manage_transaction_commits(instance: Instance) -> None:
    with instance.database.session() as session:
        job = JobFactory(session).makeJob()
        job.start(manage_transaction=True)
        number = job.id
        session.rollback()
    assert instance.row(number).status is R


@pytest.mark.feature("LP-22")
def test_only_a_suspended_job_can_be_resumed(session: Session) -> None:
    job = JobFactory(session).makeJob(F)
    with pytest.raises(InvalidTransition):
        job.resume()


def test_a_move_by_hand_loses_against_one_that_came_first(instance: Instance) -> None:
    with instance.session() as session:
        number = JobFactory(session).makeJob().id
    with instance.database.session() as mine:
        job = mine.get_one(Job, number)
        mine.commit()  # what is loaded stays loaded: WAITING
        with instance.session() as theirs:
            theirs.get_one(Job, number).cancel()
        with pytest.raises(InvalidTransition, match="from Cancelled to Suspended"):
            job.suspend()


def test_a_job_cannot_wait_again_beside_another_with_its_key(session: Session) -> None:
    factory = JobFactory(session)
    ended = factory.makeJob(F, unique_key="7")
    twin = factory.makeJob(W, unique_key="7")
    with pytest.raises(DuplicateJob, match=f"found job {twin.id}, which has not started"):
        ended.queue()
    assert ended.status is F


def test_a_running_job_cannot_be_suspended_beside_another_with_its_key(session: Session) -> None:
    factory = JobFactory(session)
    running = factory.makeJob(JobStatus.RUNNING, unique_key="7")
    twin = factory.makeJob(W, unique_key="7")
    with pytest.raises(DuplicateJob, match=f"is suspended, found job {twin.id}, which has not started"):
        running.suspend()
    assert running.status is JobStatus.RUNNING


BY_HAND = {"start": W, "complete": R, "fail": R, "suspend": W, "cancel": W, "queue": F, "resume": S}
"""Each move by hand, and a status that it begins with."""


@pytest.mark.feature("LP-03")
@pytest.mark.parametrize("name", BY_HAND)
def test_a_move_by_hand_is_part_of_the_callers_transaction(instance: Instance, name: str) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(BY_HAND[name])
        number = job.id
        session.commit()
        instance.foo(session, "before")
        getattr(job, name)()
        moved = job.status
        session.rollback()
        assert (instance.row(number).status, instance.events(number)) == (BY_HAND[name], [])
        getattr(job, name)()
        session.commit()
        assert instance.row(number).status is moved is not BY_HAND[name]
    assert instance.query("SELECT name FROM foo") == []


@pytest.mark.feature("LP-03")
@pytest.mark.parametrize("name", [name for name in BY_HAND if name != "resume"])
def test_a_move_that_manages_the_transaction_ends_it(instance: Instance, name: str) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(BY_HAND[name])
        session.commit()
        instance.foo(session, "before")
        getattr(job, name)(manage_transaction=True)
        session.rollback()
        moved = job.status
    assert instance.row(job.id).status is moved is not BY_HAND[name]
    # What came before a failure is undone, as it is where a runner sees one.
    assert instance.query("SELECT name FROM foo") == ([] if name == "fail" else [("before",)])


@pytest.mark.feature("LP-03")
@pytest.mark.parametrize("manage", [False, True])
def test_queue_may_undo_what_came_before(instance: Instance, manage: bool) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(R, attempt_count=2)
        session.commit()
        instance.foo(session, "before")
        job.queue(manage_transaction=manage, abort_transaction=True)
        session.commit()
        row = instance.row(job.id)
    assert (row.status, row.attempt_count, row.lease_expires, row.date_finished) == (W, 0, None, None)
    assert instance.query("SELECT name FROM foo") == []


@pytest.mark.feature("LP-03")
@pytest.mark.parametrize("manage", [False, True])
def test_queue_commits_what_came_before_also_where_the_job_waits_already(instance: Instance, manage: bool) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(W)
        session.commit()
        instance.foo(session, "before")
        job.queue(manage_transaction=manage)
        session.rollback()
    assert instance.query("SELECT name FROM foo") == ([("before",)] if manage else [])


@pytest.mark.feature("LP-03")
def test_a_job_is_run_by_hand_as_old_code_runs_it(instance: Instance) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(max_retries=1)
        job.acquireLease(60)
        assert 50 <= job.getTimeout() <= 60
        for attempt in (1, 2):
            job.start(manage_transaction=True)
            assert (job.attempt_count, job.is_pending, job.is_runnable) == (attempt, True, False)
            job.suspend()
            job.resume()
            job.attempt_count = attempt  # as it was: back to waiting by hand begins afresh
            session.flush()
            assert job.is_runnable
        job.start()
        job.complete(manage_transaction=True)
        row = instance.row(job.id)
    assert (row.status, row.attempt_count, row.lease_token, row.lease_expires) == (C, 3, 3, None)
    assert row.date_started is not None
    assert row.date_finished is not None


@pytest.mark.feature("LP-22", "LP-03")
def test_what_is_resumed_begins_afresh(instance: Instance) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(S, attempt_count=3, crash_count=1, lease_token=4)
        job.expires_at = job.date_created
        job.resume()
        assert [job.status, job.attempt_count, job.crash_count, job.expires_at] == [W, 0, 0, None]
        assert (job.lease_token, job.is_runnable) == (4, True)
        number = job.id
    assert instance.events(number) == ["resumed"]


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
