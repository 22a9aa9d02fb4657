"""A job's objects are loaded when it touches them, for its whole batch, and nothing else changes by that."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import object_session

from channel_jobs import limit
from fooapp import ActJob, Foo
from instances import Instance
from jobcron import JobStatus, current_session
from jobcron.queue import loading
from jobcron.queue.objects import awaited
from query_cost import noted_statements

COUNT = 6
"""The first batch is one job, the second has four."""

Run = Callable[[ActJob, int], None]


@pytest.fixture(autouse=True)
def growing_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let batches grow in the same way on a slow machine: one job, four, one."""
    monkeypatch.setattr("jobcron.queue.type_feed.BATCH_SECONDS", 3600.0)


def make(instance: Instance, count: int = COUNT) -> list[int]:
    """Commit jobs, each about a foo of its own."""
    with instance.session() as session:
        return [ActJob.create(instance.foo(session), session=session).job.id for _ in range(count)]


def run_as(instance: Instance, monkeypatch: pytest.MonkeyPatch, run: Run) -> str:
    """Run the jobs; `run` gets each with its place among them, from 0."""
    places = iter(range(COUNT))
    monkeypatch.setattr(ActJob, "run", lambda job: run(job, next(places)))
    return instance.run("act")


def statuses(instance: Instance) -> set[JobStatus]:
    return {row.status for row in instance.rows()}


@pytest.mark.parametrize("channel", [None, "root.export", "root.free"])
def test_jobs_that_touch_nothing_load_nothing(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, channel: str | None
) -> None:
    limit(instance, "root.export", capacity=2)
    for job in make(instance):
        instance.query("UPDATE jobcron_job SET channel = :channel WHERE id = :id", id=job, channel=channel)
    with noted_statements() as statements:
        run_as(instance, monkeypatch, lambda job, place: None)
    assert [statement for statement, _ in statements if "FROM foo_job" in statement] == []
    assert statuses(instance) == {JobStatus.COMPLETED}


@pytest.mark.parametrize(("channel", "expected"), [("root.export", COUNT), ("root.free", 3)])
def test_a_job_with_a_limit_loads_its_own_objects_and_one_without_those_of_its_batch(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, channel: str, expected: int
) -> None:
    limit(instance, "root.export", capacity=2)
    for number, job in enumerate(make(instance)):
        instance.query("UPDATE jobcron_job SET channel = :channel WHERE id = :id", id=job, channel=channel)
        instance.query("UPDATE foo SET name = :name WHERE id = :id", id=number + 1, name=f"foo {number}")
    names = []
    with noted_statements() as statements:
        run_as(instance, monkeypatch, lambda job, place: names.append(job.context.foo.name))
    assert names == [f"foo {number}" for number in range(COUNT)]
    assert sum("FROM foo_job" in statement for statement, _ in statements) == expected


def test_the_first_job_that_touches_its_objects_loads_those_of_its_batch(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(instance)
    names = []

    def run(job: ActJob, place: int) -> None:
        if place >= 2:
            names.append(job.context.foo.name)

    with noted_statements() as statements:
        run_as(instance, monkeypatch, run)
    assert names == ["foo"] * (COUNT - 2)
    loads = sum("FROM foo_job" in statement for statement, _ in statements)
    assert loads == 2  # of four jobs, and of one


def test_another_thread_may_be_the_first_to_read_and_the_job_itself_writes(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(instance)
    names: list[str] = []

    def run(job: ActJob, place: int) -> None:
        with ThreadPoolExecutor(3) as pool:
            names.extend(pool.map(lambda _: job.context.foo.name, range(6)))
        job.context.foo.name = f"written by {place}"

    run_as(instance, monkeypatch, run)
    assert names == ["foo"] * 6 * COUNT
    written = [name for (name,) in instance.query("SELECT name FROM foo ORDER BY id")]
    assert written == [f"written by {place}" for place in range(COUNT)]


def test_a_process_that_a_job_forks_reads_over_a_connection_of_its_own(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(instance)
    answers = []

    def run(job: ActJob, place: int) -> None:
        session = current_session()
        session.execute(select(Foo.id)).all()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                foo = job.context.foo
                os.write(writer, b"shared" if object_session(foo) is session else foo.name.encode())
            finally:
                os._exit(0)
        os.close(writer)
        answers.append(os.read(reader, 100))
        os.close(reader)
        os.waitpid(child, 0)
        job.context.foo.name = "written"

    run_as(instance, monkeypatch, run)
    assert answers == [b"foo"] * COUNT
    assert statuses(instance) == {JobStatus.COMPLETED}
    assert instance.query("SELECT DISTINCT name FROM foo") == [("written",)]


def test_what_a_job_leaves_on_its_connection_before_it_touches_its_objects_chooses_none_of_others(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(instance)
    names = []

    def run(job: ActJob, place: int) -> None:
        if place in (0, 1):
            session = current_session()
            session.execute(text("CREATE TEMPORARY TABLE foo AS SELECT id, 'false' AS name, frozzled FROM foo"))
            session.commit()
            assert job.context.id is not None
        else:
            names.append(job.context.foo.name)

    run_as(instance, monkeypatch, run)
    assert names == ["foo"] * (COUNT - 2)


def test_objects_that_are_touched_in_a_transaction_are_read_in_it(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(instance)
    seen = []

    def run(job: ActJob, place: int) -> None:
        if place == 1:
            assert job.context.foo.name == "foo"  # those of the whole batch are loaded now
            with instance.session() as session:
                for foo in session.scalars(select(Foo)):
                    foo.name = "changed"
        if place > 1:
            current_session().execute(select(Foo.id)).all()
            seen.append(job.context.foo.name)

    run_as(instance, monkeypatch, run)
    assert seen == ["changed"] * (COUNT - 2)


def test_a_job_that_has_read_its_object_before_by_itself_has_that_one(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(instance)
    foos = [number for (number,) in instance.query("SELECT id FROM foo ORDER BY id")]

    def run(job: ActJob, place: int) -> None:
        if place == 1:
            assert job.context.foo.name == "foo"  # those of the whole batch are loaded now
        if place > 1:
            session = current_session()
            foo = session.get_one(Foo, foos[place])
            session.commit()
            assert job.context.foo is foo
        job.context.foo.name = "written"

    log = run_as(instance, monkeypatch, run)
    assert statuses(instance) == {JobStatus.COMPLETED}, log
    assert instance.query("SELECT DISTINCT name FROM foo") == [("written",)]


def test_a_load_that_failed_is_tried_again_at_the_next_touch(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(instance)
    real, failures = loading.load_all, [OperationalError("SELECT", {}, Exception("no room"))]

    def load_all(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*arguments)

    def run(job: ActJob, place: int) -> None:
        if place == 0:
            with pytest.raises(OperationalError):
                job.context.foo.name = "never"
        job.context.foo.name = "written"

    monkeypatch.setattr(awaited, "load_all", load_all)
    log = run_as(instance, monkeypatch, run)
    assert statuses(instance) == {JobStatus.COMPLETED}, log
    assert instance.query("SELECT DISTINCT name FROM foo") == [("written",)]


def test_a_job_that_was_moved_before_it_touches_its_objects_commits_nothing(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make(instance)

    def run(job: ActJob, place: int) -> None:
        if place == 3:
            instance.query(
                "UPDATE jobcron_job SET lease_token = lease_token + 1, status = 5 WHERE id = :id", id=jobs[3]
            )
        job.context.foo.name = "written"

    run_as(instance, monkeypatch, run)
    names = [name for (name,) in instance.query("SELECT name FROM foo ORDER BY id")]
    assert names == ["foo" if place == 3 else "written" for place in range(COUNT)]


def test_the_report_of_a_job_that_touched_nothing_has_its_variables(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make(instance, 1)

    def run(job: ActJob, place: int) -> None:
        raise LookupError("nothing here")

    run_as(instance, monkeypatch, run)
    (report,) = instance.oopses()
    content = report.read_text(errors="replace")
    assert "nothing here" in content
    assert f"{jobs[0]}" in content
    assert statuses(instance) == {JobStatus.FAILED}
