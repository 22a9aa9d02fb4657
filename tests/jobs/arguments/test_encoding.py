"""Values of arguments as JSON, and back: every type, references to objects, and crafted rows."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from guestapp import Colour, Customer, EverythingJob, LetterJob, Line, OwnWayJob, added
from instances import Instance
from jobcron import InvalidJobData, JobStatus


@pytest.mark.feature("LP-01")
def test_arguments_of_every_type_come_back_as_they_were(guest_session: Session, customer: Customer) -> None:
    line = Line(customer_id=customer.id, code="x-1")
    guest_session.add(line)
    guest_session.flush()
    values: dict[str, Any] = {
        "when": date(2026, 11, 23),
        "price": Decimal("12.50"),
        "reference": UUID(int=7),
        "content": b"\0\xff",
        "pair": (1, "one"),
        "colours": {Colour.RED, Colour.BLUE},
        "mode": "slow",
        "customer": customer,
        "lines": [line],
        "anything": {
            "moment": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "naive": datetime(2026, 1, 2),
            "set": frozenset({1, 2}),
            "keys": {1: "one", (2,): "two"},
            "like a mark": {"$date": "not one"},
            "text": "“quoted”",
            "none": None,
            "true": True,
            "half": 0.5,
        },
    }
    number = EverythingJob.create(session=guest_session, **values).id
    guest_session.flush()
    guest_session.expire_all()
    job = EverythingJob.get(number)
    assert {name: getattr(job, name) for name in values} == values
    assert type(job.anything["true"]) is bool


def test_a_class_that_another_process_could_not_find_is_refused(guest_session: Session) -> None:
    from enum import Enum

    class Hidden(Enum):
        ONE = 1

    with pytest.raises(InvalidJobData, match=r"which another process can import, got .*<locals>\.Hidden"):
        EverythingJob.create(anything=Hidden.ONE, session=guest_session)


@pytest.mark.parametrize(
    "data",
    [
        {"$enum": ["os.system", "x"]},
        {"$enum": ["guestapp.Customer", "x"]},
        {"$enum": ["guestapp.Colour", "GREEN"]},
        {"$enum": ["antigravity.Colour", "RED"]},
        {"$object": ["builtins.object", [1]]},
        {"$object": ["guestapp.Colour", ["RED"]]},
        {"$object": 7},
        {"$UUID": "x"},
        {"$bytes": "*"},
        {"$Decimal": "x"},
        {"$set": [[1]]},
        {"$pickle": "x"},
    ],
)
def test_a_row_names_only_enums_and_mapped_classes_that_are_imported(guest_session: Session, data: object) -> None:
    job = EverythingJob.create(session=guest_session)
    job.metadata["anything"] = data
    with pytest.raises(InvalidJobData, match="expected"):
        _ = job.anything
    assert "antigravity" not in sys.modules


def test_a_job_about_an_object_that_is_gone_fails_alone_and_says_so(guest: Instance) -> None:
    with guest.session() as session:
        gone, there = Customer(), Customer()
        session.add_all([gone, there])
        first, second = LetterJob.create(gone, template="a").id, LetterJob.create(there, template="a").id
    guest.query("DELETE FROM customer WHERE id = 1")
    guest.run("letter")
    assert guest.row(first).status is JobStatus.FAILED
    assert "expected Customer 1 to be in the database, there is none" in str(guest.row(first).log)
    assert guest.row(second).status is JobStatus.COMPLETED


def test_objects_that_arguments_name_are_loaded_before_the_job_begins(
    guest: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that works elsewhere first must not hold a transaction meanwhile."""
    open_transactions = []

    def run(self: EverythingJob) -> None:
        assert self.customer is not None
        open_transactions.append((self.customer.name, self.lines[0].code, self.session.in_transaction()))

    monkeypatch.setattr(EverythingJob, "run", run)
    with guest.session() as session:
        customer = Customer()
        session.add(customer)
        session.flush()
        line = Line(customer_id=customer.id, code="x")
        session.add(line)
        session.flush()
        EverythingJob.create(customer=customer, lines=[line], session=session)
    guest.run("everything")
    assert open_transactions == [("Ada", "x", False)]


@pytest.mark.parametrize(
    "crafted",
    [
        {"customer": {"$object": ["guestapp.Customer", ["no number"]]}},
        {"customer": {"$object": ["guestapp.Customer", [{"$set": []}]]}},
        {"customer": {"$object": ["guestapp.Customer", [1, 2, 3]]}},
        {"customer": {"$object": ["guestapp.Customer", []]}},
        {"customer": {"$object": ["guestapp.Line", [1]]}},
        {"customer": {"$object": ["guestapp.Customer", [10**30]]}},
        {"customer": {"$object": [7, [1]]}},
        {"customer": {"$enum": ["guestapp.Colour", 7]}},
        {"customer": {"$flag": ["os.path", "many", 1]}},
        {"customer": {"$object": {"a": 1}}},
        {"customer": {"$object": ["guestapp.Customer", [[1]]]}},
        {"customer": {"$object": ["guestapp.Customer", [{"$object": ["guestapp.Customer", [1]]}]]}},
    ],
)
def test_a_row_with_crafted_references_fails_alone(guest: Instance, crafted: dict[str, Any]) -> None:
    with guest.session() as session:
        customer = added(session, Customer())
        session.flush()
        good = [EverythingJob.create(customer=customer, session=session).id for _ in range(2)]
        bad = EverythingJob.create(session=session).id
        good += [EverythingJob.create(customer=customer, session=session).id for _ in range(2)]
    value = "CAST(:data AS jsonb)" if guest.database.dialect == "postgresql" else ":data"
    guest.query(f"UPDATE jobcron_job SET json_data = {value} WHERE id = :id", data=json.dumps(crafted), id=bad)
    guest.run("everything")
    guest.query("UPDATE jobcron_job SET scheduled_start = date_created WHERE status = 0")
    guest.run("everything")
    assert [guest.row(job).status for job in good] == [JobStatus.COMPLETED] * 4
    assert guest.row(bad).status is JobStatus.FAILED


@pytest.mark.parametrize(
    "crafted", [{"$object": ["os.path", [1]]}, {"$enum": ["os.system", "x"]}, {"$enum": ["guestapp.Colour", "x"]}]
)
def test_a_row_that_names_a_class_that_no_code_has_waits_alone(guest: Instance, crafted: dict[str, Any]) -> None:
    with guest.session() as session:
        jobs = [EverythingJob.create(session=session).id for _ in range(3)]
    value = "CAST(:data AS jsonb)" if guest.database.dialect == "postgresql" else ":data"
    data = json.dumps({"customer": crafted})
    guest.query(f"UPDATE jobcron_job SET json_data = {value} WHERE id = :id", data=data, id=jobs[1])
    guest.run("everything")
    assert [guest.row(job).status.name for job in jobs] == ["COMPLETED", "WAITING", "COMPLETED"]
    assert guest.events(jobs[1]) == ["waits for code"]


@pytest.mark.parametrize("key", [["no number"], [[1]], [{"$object": ["guestapp.Customer", [1]]}]])
def test_a_crafted_row_fails_alone_where_a_source_finds_its_jobs_itself(guest: Instance, key: list[Any]) -> None:
    with guest.session() as session:
        customer = added(session, Customer())
        session.flush()
        jobs = [OwnWayJob.create(customer=customer, session=session).id for _ in range(3)]
    value = "CAST(:data AS jsonb)" if guest.database.dialect == "postgresql" else ":data"
    crafted = json.dumps({"customer": {"$object": ["guestapp.Customer", key]}})
    guest.query(f"UPDATE jobcron_job SET json_data = {value} WHERE id = :id", data=crafted, id=jobs[1])
    guest.run("own_way")
    assert [guest.row(job).status.name for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED"]
