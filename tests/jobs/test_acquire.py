"""Acquiring a job: one for a target, also where many do it at once or their transactions are open."""

from __future__ import annotations

import time

import pytest

from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus
from races import race
from runner_processes import seen, started

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
