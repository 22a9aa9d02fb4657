"""The rows of job types: made once, kept in step with the code, and listed where no class has them."""

from __future__ import annotations

import time

from sqlalchemy import event

from fooapp import ActJob, DoFooJob
from instances import Instance
from jobcron import JobStatus
from jobcron.jobs import known_types


def test_types_that_no_class_has_are_listed_and_their_jobs_left_alone(instance: Instance) -> None:

    job = instance.act()
    instance.query(
        "INSERT INTO jobcron_type (name) VALUES ('foo_job.REMOVED'), ('other.THING'), ('foo_job.NEVER_USED')"
    )
    for name in ("foo_job.REMOVED", "other.THING"):
        instance.query(
            "INSERT INTO jobcron_job (uuid, type, json_data) "
            "SELECT '6f1c3b0f-7a0e-4f0e-8d2a-5b1c9e3d4f5a', id, '{}' FROM jobcron_type WHERE name = :name",
            name=name,
        )
    instance.query(
        "INSERT INTO foo_job (job, job_type, foo_id) SELECT max(job.id), 99, max(foo.id) FROM jobcron_job job, foo"
    )
    with instance.database.begin() as connection:
        assert known_types.unclaimed(connection) == [("foo_job.REMOVED", "1"), ("other.THING", "1")]
    log = instance.run("act")
    assert "1 pending jobs of the type foo_job.REMOVED, which no class of this application has." in log
    assert "other.THING" not in log  # another family, perhaps of another application
    assert instance.row(job).status is JobStatus.COMPLETED
    assert [row.status for row in instance.rows() if row.id != job] == [JobStatus.WAITING] * 2


def test_a_section_with_jobs_in_every_minute_is_told_of_types_without_a_class_once_in_each_interval(
    instance: Instance,
) -> None:
    hour = 3600
    instance.configure("activity_interval: 1h")
    left = hour - time.time() % hour
    if left < 20:  # the whole test is to be in one hour of the clock
        time.sleep(left)
    instance.act()
    instance.run("act")
    instance.query("UPDATE jobcron_type SET name = 'foo_job.REMOVED' WHERE name = 'foo_job.DO_FOO'")
    instance.query(
        "INSERT INTO jobcron_job (uuid, type, json_data) SELECT '6f1c3b0f-7a0e-4f0e-8d2a-5b1c9e3d4f5a', id, '{}' "
        "FROM jobcron_type WHERE name = 'foo_job.REMOVED'"
    )
    # The last run was a moment before the hour.
    seconds = time.time() % hour + 1
    before = {
        "sqlite": f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-{seconds} seconds')",
        "postgresql": f"now() - interval '{seconds} seconds'",
    }[instance.database.dialect]
    instance.query(f"UPDATE jobcron_run SET date_started = {before}")
    instance.act()
    told = [instance.run("act").count("which no class of this application has") for _ in range(2)]
    assert told == [1, 0]
    instance.act()
    assert "which no class" not in instance.run("act")
    instance.act()
    assert "REMOVED" not in instance.run("act")  # once in each activity_interval


def test_a_type_that_is_rolled_back_is_made_again(instance: Instance) -> None:
    for end in ("rollback", "commit"):
        with instance.database.session() as session:
            DoFooJob.create(instance.foo(session))
            getattr(session, end)()
    assert [job.status for job in instance.rows()] == [JobStatus.WAITING]


def test_the_number_of_a_type_that_was_never_committed_is_forgotten_with_the_session(
    instance: Instance,
) -> None:
    session = instance.database.session()
    DoFooJob.create(instance.foo(session))
    session.close()
    with instance.session() as other:
        ActJob.create(instance.foo(other))  # on SQLite it gets the same number
    job = DoFooJob.create(instance.foo(session)).job.id
    session.commit()
    session.close()
    instance.run("do_foo")
    assert instance.row(job).status is JobStatus.COMPLETED


def test_the_number_of_a_type_is_looked_up_once_and_not_for_every_job(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        DoFooJob.create(foo)
        session.commit()
        statements: list[str] = []
        event.listen(
            instance.database.engine,
            "before_cursor_execute",
            lambda c, u, statement, *more: statements.append(statement),
        )
        for _ in range(3):
            DoFooJob.create(foo)
            session.commit()
    assert [s for s in statements if "jobcron_type" in s] == []


def test_a_type_that_went_with_a_savepoint_is_made_again(instance: Instance) -> None:
    instance.query("DELETE FROM jobcron_source")
    instance.query("DELETE FROM jobcron_type")
    with instance.session() as session:
        foo = instance.foo(session)
        nested = session.begin_nested()
        DoFooJob.create(foo)
        nested.rollback()
        job = DoFooJob.create(foo)
        number = job.id
    assert instance.row(number).type_id in {n for (n,) in instance.query("SELECT id FROM jobcron_type")}
