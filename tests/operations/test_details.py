"""Everything about one job."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

import functionapp
from fooapp import ActJob
from guestapp import Colour, Customer, EverythingJob, LetterJob
from instances import Instance
from jobcron import JobStatus, NoSuchJob
from jobcron.database.tables import jobs_connection
from jobcron.functions import FunctionJob
from jobcron.operations.details import about_job, find_job, job_details, job_history
from jobcron.testing import JobFactory
from query_cost import cost_of, noted_statements


def test_a_job_is_shown_with_its_attempts_and_its_error(instance: Instance) -> None:
    number = instance.act(("raise", "value"), requester="ada")
    instance.run("act")
    with instance.session() as session:
        ActJob.get(number, session=session).job.queue()
    with instance.database.begin(writing=False) as connection:
        job = job_details(connection, number)
    assert (job.status, job.type, job.requester) == (JobStatus.WAITING, "foo_job.ACT", "ada")
    assert [event.kind for event in job.history] == ["failed", "requeued"]
    assert job.history[0].oops_id == job.oops_id
    assert "@" in job.history[1].actor
    assert job.error == "ValueError: no such foo"
    assert job.log is not None
    assert job.log.startswith("Traceback")
    assert job.data["do"] == [["raise", "value"]]


def test_the_newest_events_of_a_long_history_are_shown(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobcron.operations.details.EVENTS", 2)
    with instance.session() as session:
        job = JobFactory(session).makeJob()
        job.suspend()
        job.resume()
        job.cancel()
        number = job.id
    with instance.database.begin(writing=False) as connection:
        assert [event.kind for event in job_history(connection, number)] == ["resumed", "cancelled"]


def test_a_job_is_found_by_its_uuid(instance: Instance) -> None:
    number = instance.act()
    instance.run("act")
    waiting = [instance.act() for _ in range(3)]
    with instance.database.begin(writing=False) as connection:
        for found in (number, *waiting):
            assert find_job(connection, instance.row(found).uuid) == found
        with pytest.raises(NoSuchJob, match="found none$"):
            find_job(connection, uuid4())
        with pytest.raises(NoSuchJob, match="a job with the number 99, found none"):
            job_details(connection, 99)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_search_for_a_uuid_ends_and_says_where(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    number = instance.act()
    instance.run("act")
    for _ in range(3):
        instance.act()
    monkeypatch.setattr("jobcron.operations.details.UUID_JOBS", 3)
    with instance.database.begin(writing=False) as connection:
        with pytest.raises(NoSuchJob, match="not completed and those from 2 on, found none; give its number"):
            find_job(connection, instance.row(number).uuid)
        monkeypatch.setattr("jobcron.operations.details.UUID_JOBS", 4)
        assert find_job(connection, instance.row(number).uuid) == number


@pytest.mark.parametrize("status", set(JobStatus) - {JobStatus.COMPLETED}, ids=lambda status: status.name)
def test_a_job_that_has_not_completed_is_found_by_its_uuid_however_old_it_is(
    session: Session, status: JobStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = JobFactory(session)
    job = factory.makeJob(status)
    factory.makeJob()
    session.flush()
    monkeypatch.setattr("jobcron.operations.details.UUID_JOBS", 1)
    assert find_job(jobs_connection(session), job.uuid) == job.id


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_uuid_of_a_job_that_ended_badly_has_an_index_and_no_other_job_has_an_entry(instance: Instance) -> None:
    kind = instance.row(instance.act()).type_id
    instance.query(
        "INSERT INTO jobcron_job (uuid, type, status, lease_expires, date_finished) "
        "SELECT gen_random_uuid(), :kind, n % 8, "
        "       CASE WHEN n % 8 = 1 THEN now() END, CASE WHEN n % 8 IN (2, 3, 5, 6) THEN now() END "
        "FROM generate_series(1, 8000) AS n",
        kind=kind,
    )
    for statement in ("REINDEX INDEX jobcron_job_bad_end", "ANALYZE jobcron_job"):
        instance.query(statement)
    (tuples,) = instance.query("SELECT reltuples FROM pg_class WHERE relname = 'jobcron_job_bad_end'")[0]
    assert tuples == 3000
    (uuid,) = instance.query("SELECT uuid FROM jobcron_job WHERE status = 3 ORDER BY id LIMIT 1")[0]
    with instance.database.begin(writing=False) as connection, noted_statements() as noted:
        find_job(connection, UUID(str(uuid)))
    statement, parameters = noted[0]
    assert cost_of(instance, statement, parameters) < 3000, "it reads the 1000 that run, and no others"


def test_the_class_of_a_job_says_what_it_is_about(calling: Instance) -> None:
    with calling.session() as session:
        uuid = functionapp.about_foo.delay(session, 7)
    with calling.database.session(writing=False) as session:
        about = about_job(session, find_job(jobs_connection(session), UUID(str(uuid))))
    assert about.arguments["arguments"] == {"number": 7}
    assert "the foo" in str(about.related)
    assert about.target is None


@pytest.mark.feature("OCQ-06")
def test_a_job_of_a_class_says_its_related_action_and_its_arguments(guest: Instance) -> None:
    with guest.session() as session:
        customer = Customer(name="Ada")
        session.add(customer)
        session.flush()
        letter = LetterJob.create(customer, template="hello", copies=3, session=session)
        letter.metadata["note"] = "by hand"
        everything = EverythingJob.create(
            when=date(2026, 2, 28), price=Decimal("1.50"), customer=customer, colours={Colour.RED}, pair=(1, "x"),
            content=b"\x00", session=session,
        )  # fmt: skip
        numbers, key = (letter.id, everything.id), customer.id
    with guest.database.session(writing=False) as session:
        of_letter, of_everything = (about_job(session, number) for number in numbers)
        assert of_letter.related == f"https://shop.example/customers/{key}?copies=3"
        assert of_letter.arguments == {"template": "hello", "copies": 3, "options": {}, "note": "by hand"}
        assert of_everything.related is None
        found = of_everything.arguments
        assert (found["when"], found["price"], found["pair"]) == ("2026-02-28", "1.50", [1, "x"])
        assert (found["colours"], found["mode"]) == (["RED"], "fast")
        assert str(key) in str(found["customer"]), "the object, not how the row refers to it"
        assert json.dumps(found)


def test_what_a_familys_row_has_is_among_the_arguments(instance: Instance) -> None:
    number = instance.act(("write", "x"))
    with instance.database.session(writing=False) as session:
        about = about_job(session, number)
        assert about.arguments["do"] == [["write", "x"]]
        assert about.arguments["foo_id"] == 1
        assert "job_type" not in about.arguments


def test_an_argument_that_cannot_be_read_is_told(guest: Instance) -> None:
    with guest.session() as session:
        customer = Customer(name="Ada")
        session.add(customer)
        session.flush()
        number = EverythingJob.create(customer=customer, session=session).id
        session.flush()
        session.delete(customer)
    with guest.database.session(writing=False) as session:
        assert "cannot be told: " in str(about_job(session, number).arguments["customer"])


def test_a_job_of_a_type_without_a_class_says_nothing(instance: Instance) -> None:
    with instance.session() as session:
        number = JobFactory(session).makeJob(type_name="gone.FOR_GOOD").id
    with instance.database.session(writing=False) as session:
        assert about_job(session, number).target is None


def test_what_the_application_raises_is_told_instead(calling: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    with calling.session() as session:
        uuid = functionapp.about_foo.delay(session, 7)
    monkeypatch.setattr(FunctionJob, "related_action", lambda job: 1 / 0)
    with calling.database.session(writing=False) as session:
        about = about_job(session, find_job(jobs_connection(session), UUID(str(uuid))))
    assert about.related == "cannot be told: ZeroDivisionError: division by zero"


def test_a_job_of_a_family_shows_its_target(instance: Instance) -> None:
    number = instance.act()
    with instance.database.session(writing=False) as session:
        assert about_job(session, number).target == "fooapp.Foo 1"
