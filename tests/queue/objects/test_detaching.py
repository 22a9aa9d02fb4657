"""Jobs of a batch get objects of their own, without a statement more than the batch needs."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import object_session

from fooapp import ActJob, Foo
from instances import Instance
from jobcron import JobStatus
from query_cost import noted_statements


def make(instance: Instance, count: int, *, one_foo: bool) -> list[int]:
    with instance.session() as session:
        foo = instance.foo(session)
        return [
            ActJob.create(foo if one_foo else instance.foo(session), session=session).job.id for _ in range(count)
        ]


@pytest.mark.parametrize("one_foo", [True, False])
def test_jobs_that_ask_nothing_cost_no_statement_more_than_their_completion(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, one_foo: bool
) -> None:
    names = []
    # Batches grow, and are looked after, in the same way on a slow machine.
    monkeypatch.setattr("jobcron.queue.type_feed.BATCH_SECONDS", 3600.0)
    monkeypatch.setattr("jobcron.runner.job_runner.LOOK_SECONDS", 3600.0)
    monkeypatch.setattr(ActJob, "run", lambda job: names.append(job.context.foo.name))
    make(instance, 1, one_foo=one_foo)
    instance.run("act")  # learns how long a job takes, and the number of the type
    counts = []
    for count in (4, 12):
        make(instance, count, one_foo=one_foo)
        with noted_statements() as statements:
            instance.run("act")
        counts.append(sum("SELECT" in statement.upper() for statement, _ in statements))
    assert names == ["foo"] * 17
    few, many = counts
    assert many - few <= 4  # a batch or two more, and not a statement for each job


def test_each_job_has_its_objects_in_its_own_session(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    def run(job: Any) -> None:
        assert object_session(job.context.foo) is job.session is object_session(job.job)
        kept.append((job.session, job.context.foo))

    monkeypatch.setattr(ActJob, "run", run)
    make(instance, 6, one_foo=True)
    instance.run("act")
    assert len({id(session) for session, _ in kept}) == len({id(foo) for _, foo in kept}) == 6


def test_a_class_that_loads_more_than_its_rows_refer_to_works_in_its_own_session(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Any = ActJob.load

    def load_more(cls: type[ActJob], session: Any, job_ids: list[int]) -> Any:
        jobs = load(session, job_ids)
        for job in jobs.values():
            job.extra = session.scalars(select(Foo).order_by(Foo.id.desc())).first()
        return jobs

    def run(job: Any) -> None:
        job.extra.name = "loaded by load"

    monkeypatch.setattr(ActJob, "load", classmethod(load_more))
    monkeypatch.setattr(ActJob, "run", run)
    jobs = make(instance, 3, one_foo=True)
    with instance.session() as session:
        instance.foo(session)
    instance.run("act")
    assert instance.query("SELECT name FROM foo ORDER BY id") == [("foo",), ("loaded by load",)]
    assert [instance.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 3
