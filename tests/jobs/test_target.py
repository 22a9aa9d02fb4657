"""The target of a job that has no table: found by the name and the key on its row."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from guestapp import AboutAnythingJob, Company, Customer, EverythingJob, LetterJob, Line, LineJob, added
from instances import Instance
from jobcron import InvalidJobData, JobStatus


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


@pytest.mark.parametrize("key", ["no json", '{"$set": [[]]}', '"x"', "[1, 2]", "[]", "1" * 40])
def test_a_row_with_a_crafted_target_fails_alone(guest: Instance, key: str) -> None:
    with guest.session() as session:
        jobs = [LetterJob.create(added(session, Customer()), template="a").id for _ in range(3)]
    guest.query("UPDATE jobcron_job SET target_id = :key WHERE id = :id", key=key, id=jobs[1])
    guest.run("letter")
    assert [guest.row(job).status.name for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED"]
