"""The rows of job types: made once, kept in step with the code, and listed where no class has them."""

from __future__ import annotations

import sys
import time
from enum import Enum
from types import new_class

import pytest
from sqlalchemy import text

from fooapp import ActJob, DoFooJob, Ledger
from instances import Instance
from jobcron import BaseRunnableJob, JobRunner, JobStatus
from jobcron.jobs import known_types, registry
from query_cost import noted_statements


def test_types_that_no_class_has_are_listed_and_their_jobs_left_alone(instance: Instance) -> None:

    job = instance.act()
    instance.query(
        "INSERT INTO jobcron_type (name) VALUES ('foo_job.REMOVED'), ('other.THING'), ('foo_job.NEVER_USED')"
    )
    for name, uuid in (("foo_job.REMOVED", "6f1c3b0f7a0e4f0e8d2a5b1c9e3d4f5a"), ("other.THING", "6f" * 16)):
        instance.query(
            "INSERT INTO jobcron_job (uuid, type, json_data) "
            f"SELECT '{uuid}', id, '{{}}' FROM jobcron_type WHERE name = :name",
            name=name,
        )
    instance.query(
        "INSERT INTO foo_job (job, job_type, foo_id) SELECT max(job.id), 99, max(foo.id) FROM jobcron_job job, foo"
    )
    with instance.database.begin() as connection:
        one = "1 pending job"
        assert known_types.unclaimed(connection) == [("foo_job.REMOVED", one), ("other.THING", one)]
    log = instance.run("act")
    assert "1 pending job of the type foo_job.REMOVED, which no class of this application has." in log
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


def test_a_job_has_its_own_type_though_the_numbers_have_changed_since_the_last_one(instance: Instance) -> None:
    with instance.session() as session:
        before = {
            job_class: job_class.create(instance.foo(session)).job.type_id for job_class in (DoFooJob, ActJob)
        }
        session.execute(text("DELETE FROM foo_job"))
        session.execute(text("DELETE FROM jobcron_job"))
    # As after a restore, or where tests empty the tables: two types have exchanged their numbers.
    for job_class, number in before.items():
        instance.query(
            "UPDATE jobcron_type SET name = :name WHERE id = :id", name=f"other {job_class.__name__}", id=number
        )
    for job_class, other in ((DoFooJob, ActJob), (ActJob, DoFooJob)):
        name, number = job_class.type_name, before[other]
        instance.query("UPDATE jobcron_type SET name = :name WHERE id = :id", name=name, id=number)
    with instance.session() as session:
        made = {job_class: job_class.create(instance.foo(session)) for job_class in before}
        numbers = {job_class: job.id for job_class, job in made.items()}
        assert made[DoFooJob].job.type_id == before[ActJob]
        assert made[ActJob].job.type_id == before[DoFooJob]
        assert DoFooJob.acquire(instance.foo(session)).job.type_id == before[ActJob]
        DoFooJob.createMultiple([instance.foo(session)] * 2)
    instance.run("do_foo")
    assert instance.row(numbers[DoFooJob]).status is JobStatus.COMPLETED
    assert instance.row(numbers[ActJob]).status is JobStatus.WAITING
    assert sum(row.status is JobStatus.COMPLETED for row in instance.rows()) == 4


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


def item_of(module: str) -> object:
    """Return SEND of an enum Jobs that a module has."""
    Jobs = Enum("Jobs", {"SEND": 1}, module=module)
    return Jobs.SEND


def send_of(package: str, **attributes: object) -> type[BaseRunnableJob]:
    """Return the class of the type Jobs.SEND of an application."""
    item = item_of(f"{package}.jobs")

    def run(job: BaseRunnableJob) -> None:
        job.session.add(Ledger(job=0, attempt=0, note=package))

    body = {"__module__": f"{package}.sending", "class_job_type": item, "run": run, **attributes}
    made: type[BaseRunnableJob] = new_class("Send", (BaseRunnableJob,), exec_body=lambda names: names.update(body))
    return made


@pytest.fixture
def registry_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the classes that a test makes."""
    monkeypatch.setattr(registry, "_classes", registry.registered())


@pytest.mark.feature("LP-06")
@pytest.mark.usefixtures("registry_as_it_was")
def test_two_applications_with_an_enum_of_the_same_name_do_not_run_each_others_jobs(instance: Instance) -> None:
    shop, post = send_of("shop"), send_of("post")
    with instance.session() as session:
        numbers = [owner.create(session=session).id for owner in (shop, post)]
    JobRunner.runFromSource(post, instance.database)
    assert [instance.row(n).status for n in numbers] == [JobStatus.WAITING, JobStatus.COMPLETED]
    assert [note for *_, note in instance.ledger()] == ["post"]
    names = {name for (name,) in instance.query("SELECT name FROM jobcron_type")}
    assert names >= {"shop.Jobs.SEND", "post.Jobs.SEND"}


@pytest.mark.feature("LP-06")
@pytest.mark.usefixtures("registry_as_it_was")
def test_a_type_is_renamed_whose_name_had_no_prefix_if_its_class_is_the_same(instance: Instance) -> None:
    former = send_of("shop", type_prefix="")
    assert former.type_name == "Jobs.SEND"
    with instance.session() as session:
        number = former.create(session=session).id
    sources = known_types.registered_sources()
    with instance.database.begin() as connection:
        assert known_types.sync(connection, sources) == []
    monkey = registry.registered()
    del monkey["Jobs.SEND"]
    registry._classes.clear()
    registry._classes.update(monkey)
    now = send_of("shop")
    other = send_of("post")  # not its class: another type
    with instance.database.begin() as connection:
        known_types.sync(connection, known_types.registered_sources())
        assert known_types.is_known(connection, known_types.registered_sources())
    JobRunner.runFromSource(other, instance.database)
    assert instance.row(number).status is JobStatus.WAITING
    JobRunner.runFromSource(now, instance.database)
    assert instance.row(number).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-06")
@pytest.mark.usefixtures("registry_as_it_was")
def test_a_type_that_another_package_has_as_well_is_told_once(instance: Instance) -> None:
    shop = send_of("shop", type_prefix="")
    told = []
    for owner in (shop, send_of("post", type_prefix="others"), None, None):
        if owner is None:
            registry._classes.pop("Jobs.SEND", None)
            registry._classes.pop("others.Jobs.SEND", None)
            send_of("post", type_prefix="")
        with instance.database.begin() as connection:
            told.append(known_types.sync(connection, known_types.registered_sources()))
    assert [len(texts) for texts in told] == [0, 0, 1, 0]
    assert told[2][0].startswith(
        "The job type Jobs.SEND of post.sending.Send is that of shop.sending.Send as well"
    )


def test_all_types_of_an_application_are_written_in_few_statements(instance: Instance) -> None:
    sources = known_types.registered_sources()
    assert len(sources) > 3
    with instance.database.begin() as connection, noted_statements() as noted:
        assert known_types.sync(connection, sources) == []
        assert known_types.is_known(connection, sources)
    assert len(noted) <= 8, noted


@pytest.mark.parametrize(
    ("module", "argv", "name"),
    [
        ("shop.jobs.kinds", "", "shop.Jobs.SEND"),
        ("__main__", "/srv/order.py", "order.Jobs.SEND"),
        ("jobcron.functions", "", "Jobs.SEND"),
    ],
)
@pytest.mark.usefixtures("registry_as_it_was")
def test_a_type_without_a_table_has_the_name_of_its_package(
    monkeypatch: pytest.MonkeyPatch, module: str, argv: str, name: str
) -> None:
    monkeypatch.setattr(sys, "argv", [argv])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    body = {"class_job_type": item_of(module), "run": lambda job: None}
    made = new_class("Send", (BaseRunnableJob,), exec_body=lambda names: names.update(body))
    assert getattr(made, "type_name") == name  # noqa: B009
