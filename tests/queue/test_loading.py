"""Loading claimed jobs: a row that cannot be loaded, or is nobody's, harms no other."""

from __future__ import annotations

from sqlalchemy import select

from fooapp import DoFooJob, FooJob
from instances import Instance
from jobcron import Job, JobStatus
from jobcron.testing import JobFactory


def test_a_row_of_a_type_that_nobody_knows_is_in_nobodys_way(instance: Instance) -> None:
    with instance.session() as session:
        stray = JobFactory(session).makeJob(type_name="foo_job.GONE").id
        session.add(FooJob(id=stray, job=session.get_one(Job, stray), job_type=99, foo=instance.foo(session)))
        job = DoFooJob.create(instance.foo(session)).job.id
    instance.run("do_foo")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert instance.row(stray).status is JobStatus.WAITING
    with instance.session() as session:
        assert len(session.scalars(select(FooJob)).all()) == 2


def test_a_job_whose_family_row_is_missing_fails_and_is_in_nobodys_way(instance: Instance) -> None:
    with instance.session() as session:
        broken = DoFooJob.create(instance.foo(session)).job.id
        good = [DoFooJob.create(instance.foo(session)).job.id for _ in range(3)]
    instance.query(f"DELETE FROM foo_job WHERE job = {broken}")
    instance.run("do_foo")
    assert instance.row(broken).status is JobStatus.FAILED
    assert "FooJob" in str(instance.row(broken).log)
    assert [instance.row(job).status for job in good] == [JobStatus.COMPLETED] * 3
