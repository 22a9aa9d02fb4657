"""The rows of new jobs: their type is looked up where they are inserted, and a key that is taken is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from fooapp import ActJob, DoFooJob, Ledger
from instances import Instance
from jobcron import DuplicateJob, Job, JobStatus, new_job


@contextmanager
def statements_of(instance: Instance) -> Iterator[list[str]]:
    """Collect the statements that are sent in the block."""
    sent: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        sent.append(statement)

    event.listen(instance.database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(instance.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("way", ["create", "createMultiple", "acquire", "new_job"])
def test_a_job_has_its_own_type_where_the_types_have_got_other_numbers(instance: Instance, way: str) -> None:
    with instance.session() as session:
        DoFooJob.create(instance.foo(session))
        ActJob.create(instance.foo(session))
    names = instance.query("SELECT name FROM jobcron_type ORDER BY id")
    for table in ("foo_job", "jobcron_job", "jobcron_source", "jobcron_type"):
        instance.query(f"DELETE FROM {table}")
    for number, (name,) in enumerate(reversed(names), 1):  # as a restore of another dump would leave them
        instance.query("INSERT INTO jobcron_type (id, name) VALUES (:number, :name)", number=number, name=name)
    with instance.session() as session:
        foo = instance.foo(session)
        if way == "createMultiple":
            (number,) = DoFooJob.createMultiple([foo])
        elif way == "new_job":
            number = new_job(session, "FooJobType.DO_FOO").id
        else:
            number = getattr(DoFooJob, way)(foo).job.id
    ((name,),) = instance.query(
        "SELECT name FROM jobcron_type JOIN jobcron_job ON type = jobcron_type.id WHERE jobcron_job.id = :number",
        number=number,
    )
    assert name == ("FooJobType.DO_FOO" if way == "new_job" else DoFooJob.type_name)


def test_a_job_without_a_table_of_its_own_takes_one_statement(instance: Instance) -> None:
    with instance.session() as session:
        new_job(session, "some.TYPE")
        with statements_of(instance) as sent:
            new_job(session, "some.TYPE", unique_key="a")
    assert len(sent) == 1


def test_create_with_a_key_that_is_taken_names_the_job_that_has_it(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        first = ActJob.create(foo, unique_key="one").job.id
        session.add(Ledger(job=1, attempt=1, note="mine"))
        with pytest.raises(DuplicateJob, match=f"key 'one' .*{ActJob.type_name}.* found job {first}, which"):
            ActJob.create(foo, unique_key="one")
        other = ActJob.create(foo, unique_key="two").job.id
    assert [job.id for job in instance.rows()] == [first, other]
    assert len(instance.ledger()) == 1


def test_a_key_is_free_again_once_its_job_has_started(instance: Instance) -> None:
    with instance.session() as session:
        ActJob.create(instance.foo(session), unique_key="one")
    instance.run("act")
    with instance.session() as session:
        again = ActJob.create(instance.foo(session), unique_key="one").job.id
    assert instance.row(again).status is JobStatus.WAITING


@pytest.mark.parametrize(("keys", "named"), [(["new", "taken"], "taken"), (["twice", "once", "twice"], "twice")])
def test_of_many_jobs_none_is_created_where_a_key_is_taken(
    instance: Instance, keys: list[str], named: str
) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        first = ActJob.create(foo, unique_key="taken").job.id
        with pytest.raises(DuplicateJob, match=f"key '{named}'"):
            ActJob.createMultiple([{"target": foo, "unique_key": key} for key in keys])
        (last,) = ActJob.createMultiple([{"target": foo, "unique_key": "free"}])
    assert [job.id for job in instance.rows()] == [first, last]


def test_the_row_of_a_new_job_is_what_the_database_made_of_it(instance: Instance) -> None:
    with instance.session() as session:
        job = new_job(session, "some.TYPE", priority=3, max_retries=None, requester="me", json_data={"a": [1]})
        assert isinstance(job, Job)
        assert job in session
        assert (job.priority, job.max_retries, job.requester, job.queue_name) == (3, 0, "me", "default")
        job.json_data["b"] = 2
        assert job.scheduled_start == job.date_created
    ((data,),) = instance.query("SELECT json_data FROM jobcron_job")
    assert "b" in str(data)
