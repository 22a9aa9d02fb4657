"""The target of a job that has no table: found by the name and the key on its row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from fooapp import ActJob, DoFooJob, Foo
from guestapp import (
    AboutAnythingJob,
    Company,
    Customer,
    EverythingJob,
    LetterJob,
    Line,
    LineJob,
    ParcelJob,
    Receiver,
    added,
)
from instances import Instance
from jobcron import BaseRunnableJob, InvalidJobData, JobStatus


@contextmanager
def counted(session: Session) -> Iterator[list[str]]:
    """Collect the statements that a session sends."""
    sent: list[str] = []

    def note(connection: object, cursor: object, statement: str, *more: object) -> None:
        sent.append(statement)

    event.listen(session.connection(), "before_cursor_execute", note)
    yield sent
    event.remove(session.connection(), "before_cursor_execute", note)


_EAST = timezone(timedelta(hours=2))


def test_a_job_about_anything_finds_its_target_by_the_name_on_its_row(guest: Instance) -> None:
    with guest.session() as session:
        company = Company()
        session.add(company)
        about = AboutAnythingJob.create(company).id
        about_nothing = AboutAnythingJob.create(session=session).id
    guest.run("anything")
    assert guest.row(about).json_data == {"was": "Company"}
    assert guest.row(about_nothing).json_data == {"was": "NoneType"}


def test_a_target_may_have_a_key_of_several_parts(guest: Instance) -> None:
    with guest.session() as session:
        customer = Customer()
        session.add(customer)
        session.flush()
        line = Line(customer_id=customer.id, code='a"b')
        session.add(line)
        number = LineJob.acquire(line).id
        assert LineJob.acquire(line).id == number
    guest.run("line")
    assert guest.row(number).json_data == {"was": 'a"b'}


@pytest.mark.feature("LP-09")
def test_acquire_finds_the_job_for_a_target_that_has_no_table(guest_session: Session, customer: Customer) -> None:
    made = LetterJob.create(customer, template="a")
    assert LetterJob.acquire(customer, template="b") == made
    made.job.cancel()
    again = LetterJob.acquire(customer, template="b")
    assert again != made
    assert LetterJob.acquire(customer, template="c") == again
    other = Customer()
    guest_session.add(other)
    assert LetterJob.acquire(other, template="a") not in (made, again)


def test_a_target_must_be_declared(guest_session: Session, customer: Customer) -> None:
    with pytest.raises(InvalidJobData, match=r"by an annotation such as target: Customer, or to get no target"):
        EverythingJob.create(customer)
    with pytest.raises(InvalidJobData, match="expected a target for LetterJob, got none"):
        LetterJob.create(template="a", session=guest_session)
    with pytest.raises(InvalidJobData, match="expected a mapped object as the job's target, got str: 'Ada'"):
        LetterJob.create("Ada", template="a", session=guest_session)
    line = Line(customer_id=customer.id, code="x")
    guest_session.add(line)
    with pytest.raises(InvalidJobData, match=r"expected target of LetterJob to be guestapp\.Customer, got"):
        LetterJob.create(line, template="a")


def test_the_jobs_about_a_target_are_found_newest_first(guest_session: Session, customer: Customer) -> None:
    first, second = LetterJob.create(customer, template="a"), LetterJob.create(customer, template="b")
    first.cancel()
    other = added(guest_session, Customer())
    LetterJob.create(other, template="c")
    AboutAnythingJob.create(customer)
    assert list(LetterJob.about(customer)) == [second, first]
    assert first.status is JobStatus.CANCELLED


@pytest.mark.feature("LP-06")
def test_a_base_class_finds_the_jobs_about_a_target_whatever_their_types_and_tables(
    session: Session, foo: Foo
) -> None:
    other = Foo(name="other")
    session.add(other)
    jobs: list[BaseRunnableJob[Any]] = [
        DoFooJob.create(foo),
        AboutAnythingJob.create(foo),
        ActJob.create(foo, metadata={"do": [], "tell": []}),
        DoFooJob.create(foo),
        AboutAnythingJob.create(foo),
    ]
    DoFooJob.create(other)
    AboutAnythingJob.create(other)
    session.expire_all()
    assert list(BaseRunnableJob.about(foo)) == jobs[::-1]
    assert [type(job) for job in BaseRunnableJob.about(foo)] == [type(job) for job in jobs[::-1]]
    assert list(DoFooJob.about(foo)) == [jobs[3], jobs[0]]
    with counted(session) as statements:
        assert len(list(BaseRunnableJob.about(foo))) == 5
    assert len(statements) == 4


@pytest.mark.parametrize("key", ["no json", '{"$set": [[]]}', '"x"', "[1, 2]", "[]", "1" * 40])
def test_a_row_with_a_crafted_target_fails_alone(guest: Instance, key: str) -> None:
    with guest.session() as session:
        jobs = [LetterJob.create(added(session, Customer()), template="a").id for _ in range(3)]
    guest.query("UPDATE jobcron_job SET target_id = :key WHERE id = :id", key=key, id=jobs[1])
    guest.run("letter")
    assert [guest.row(job).status.name for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED"]


def _number_of_a_stranger(guest: Instance, **arguments: Any) -> int:
    """Return a job whose target was deleted, and another one has its number."""
    with guest.session() as session:
        job_id = ParcelJob.create(added(session, Receiver(name="Ada")), **arguments).id
    with guest.session() as session:
        number = session.query(Receiver).one().id
        session.delete(session.get_one(Receiver, number))
        session.flush()
        session.add(Receiver(id=number, name="Eve"))
    return int(job_id)


@pytest.mark.parametrize("asks", [True, False])
def test_a_job_does_not_run_on_another_object_with_the_number_of_its_target(guest: Instance, asks: bool) -> None:
    job_id = _number_of_a_stranger(guest, asks=asks)
    guest.run("parcel")
    row = guest.row(job_id)
    assert row.status is JobStatus.FAILED
    assert "to" not in row.json_data
    assert "guestapp.Receiver 1 to be the one that <Parcel job" in str(row.log)
    assert "that one is gone, and another one has its number (created, serial)" in str(row.log)


def test_what_may_change_of_a_target_may_change(guest: Instance) -> None:
    with guest.session() as session:
        about = added(session, Receiver(name="Ada", created=datetime(2026, 1, 2, 3, 4, 5, 678901, _EAST)))
        job_id = ParcelJob.create(about).id
    with guest.session() as session:
        session.query(Receiver).one().name = "Ada Lovelace"
    guest.run("parcel")
    assert guest.row(job_id).json_data["to"] == "Ada Lovelace"


def test_acquire_for_the_new_object_is_another_job_and_it_runs(guest: Instance) -> None:
    old = _number_of_a_stranger(guest)
    with guest.session() as session:
        eve = session.query(Receiver).one()
        new = ParcelJob.acquire(eve)
        assert new.id != old
        assert ParcelJob.acquire(eve) == new
        assert list(ParcelJob.about(eve)) == [new]
        number = new.id
    guest.run("parcel")
    assert guest.row(number).json_data["to"] == "Eve"
    assert guest.row(old).status is JobStatus.FAILED


def test_jobs_from_before_the_class_named_what_identifies_its_targets_run(guest: Instance) -> None:
    job_id = _number_of_a_stranger(guest)
    guest.query("UPDATE jobcron_job SET target_mark = NULL")
    guest.run("parcel")
    assert guest.row(job_id).json_data["to"] == "Eve"


def test_jobs_with_the_mark_of_other_attributes_run(guest: Instance) -> None:
    job_id = _number_of_a_stranger(guest)
    guest.query("UPDATE jobcron_job SET target_mark = 'name 0123'")
    guest.run("parcel")
    assert guest.row(job_id).json_data["to"] == "Eve"


def test_what_identifies_a_target_must_be_columns_of_it_that_have_values(
    guest_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = added(guest_session, Receiver())
    guest_session.flush()
    about.serial = None
    with pytest.raises(InvalidJobData, match="expected a value in each of created, serial of"):
        ParcelJob.create(about)
    monkeypatch.setattr(ParcelJob, "target_identity", ("born",))
    with pytest.raises(InvalidJobData, match=r"which are created, id, name, serial; got born"):
        ParcelJob.create(about)


def test_many_jobs_have_the_marks_of_their_targets(guest: Instance) -> None:
    with guest.session() as session:
        receivers = [added(session, Receiver(name=name)) for name in ("Ada", "Eve")]
        numbers = ParcelJob.createMultiple(receivers)
    guest.run("parcel")
    assert [guest.row(number).json_data["to"] for number in numbers] == ["Ada", "Eve"]
