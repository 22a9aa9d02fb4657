"""Loading claimed jobs: a row that cannot be loaded, or is nobody's, harms no other."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fooapp import DoFooJob, FooJob, OwnReadyJob
from instances import Instance
from jobcron import Job, JobStatus
from jobcron.queue import finish, loading
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


WRITE = ("write", "effect")


@pytest.mark.parametrize("job_class", [DoFooJob, OwnReadyJob])
def test_any_number_of_expired_jobs_ends_in_one_run_and_in_short_transactions(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, job_class: Any
) -> None:
    monkeypatch.setattr(loading, "EXPIRE_BATCH", 2)
    past = datetime.now(UTC) - timedelta(hours=1)
    with instance.session() as session:
        foos = [instance.foo(session) for _ in range(5)]
        job_class.createMultiple(foos, session=session, expires_at=past)
        ready = job_class.create(instance.foo(session), session=session).job.id
    instance.run("do_foo" if job_class is DoFooJob else "own_ready")
    statuses = [row.status for row in instance.rows()]
    assert statuses == [JobStatus.EXPIRED] * 5 + [JobStatus.COMPLETED]
    assert [row.id for row in instance.rows()][-1] == ready
    if instance.database.dialect == "postgresql":
        by_transaction = instance.query("SELECT count(*) FROM jobcron_event GROUP BY xmin ORDER BY 1")
        assert by_transaction == [(1,), (2,), (2,)]


@pytest.mark.parametrize("job_class", [DoFooJob, OwnReadyJob])
@pytest.mark.parametrize("runner_class", ["JobRunner", "ProcessJobRunner"])
def test_a_run_that_is_told_to_stop_leaves_the_rest_of_many_expired_jobs_to_the_next(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, job_class: Any, runner_class: str
) -> None:
    monkeypatch.setattr(loading, "EXPIRE_BATCH", 1)
    expire = finish.expire

    def stop_and_expire(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return expire(*arguments)

    monkeypatch.setattr(loading, "expire", stop_and_expire)
    past = datetime.now(UTC) - timedelta(hours=1)
    with instance.session() as session:
        foos = [instance.foo(session) for _ in range(5)]
        job_class.createMultiple(foos, session=session, expires_at=past)
    name = "do_foo" if job_class is DoFooJob else "own_ready"
    conf = instance.path / "jobcron.conf"
    conf.write_text(conf.read_text().replace(f"[{name}]\n", f"[{name}]\nrunner_class: {runner_class}\n"))
    instance.run(name)
    statuses = [row.status for row in instance.rows()]
    assert statuses == [JobStatus.EXPIRED] + [JobStatus.WAITING] * 4


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_events_of_many_expired_jobs_are_one_statement(instance: Instance) -> None:
    instance.query("CREATE TABLE written (n integer)")
    instance.query(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
        "'BEGIN INSERT INTO written SELECT count(*) FROM events; RETURN NULL; END'"
    )
    instance.query(
        "CREATE TRIGGER note AFTER INSERT ON jobcron_event REFERENCING NEW TABLE AS events "
        "FOR EACH STATEMENT EXECUTE FUNCTION note()"
    )
    past = datetime.now(UTC) - timedelta(hours=1)
    with instance.session() as session:
        foos = [instance.foo(session) for _ in range(300)]
        DoFooJob.createMultiple(foos, session=session, expires_at=past)
    instance.run("do_foo")
    assert instance.query("SELECT n FROM written") == [(300,)]


def test_a_row_that_cannot_be_read_fails_alone_in_the_same_run(instance: Instance) -> None:
    jobs = [instance.act(WRITE) for _ in range(8)]
    broken = jobs[4]
    instance.query(f"UPDATE jobcron_job SET json_data = '[1]' WHERE id = {broken}")
    instance.run("act")
    statuses = {job: instance.query(f"SELECT status FROM jobcron_job WHERE id = {job}")[0][0] for job in jobs}
    assert statuses == {job: 3 if job == broken else 2 for job in jobs}
    assert len(instance.oopses()) == 1
