"""Arguments that a job class declares: checked when a job is created, kept on its row, read as attributes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from guestapp import Customer, EverythingJob, LetterJob, SchemaJob
from instances import Instance
from jobcron import BaseRunnableJob, IncompleteJobType, InvalidJobData, Job
from jobcron.jobs.arguments.declared import Argument


@pytest.mark.feature("LP-05", "LP-08")
def test_a_job_without_a_table_keeps_target_and_arguments_on_its_row(guest: Instance) -> None:
    with guest.session() as session:
        customer = Customer()
        session.add(customer)  # not flushed: create sees to it
        job = LetterJob.create(customer, template="hello", copies=3, options={"a": [1]})
        assert (job.target, job.template, job.copies, job.options) == (customer, "hello", 3, {"a": [1]})
        assert isinstance(job.context, Job)
        number = job.id
    row = guest.row(number)
    assert row.json_data == {"template": "hello", "copies": 3, "options": {"a": [1]}}
    assert (row.target_type, row.target_id) == ("guestapp.Customer", "1")
    assert "Ran 1 LetterJob jobs." in guest.run("letter")
    assert guest.query("SELECT letters FROM customer") == [(3,)]


def test_what_is_not_given_has_its_default_and_each_job_its_own_copy(
    guest_session: Session, customer: Customer
) -> None:
    job = LetterJob.create(customer, template="hello")
    assert (job.copies, LetterJob.copies, LetterJob.retries_of_all) == (1, 1, 7)
    job.options["a"] = [1]
    assert LetterJob.create(customer, template="hello").options == {}
    with pytest.raises(AttributeError, match="without a default"):
        _ = LetterJob.template


def test_an_argument_that_is_assigned_is_checked_and_saved(guest_session: Session, customer: Customer) -> None:
    job = LetterJob.create(customer, template="hello")
    job.copies = 4
    guest_session.flush()
    guest_session.expire_all()
    assert LetterJob.get(job.id).copies == 4
    with pytest.raises(InvalidJobData, match="expected copies of LetterJob to be int, got 'many'"):
        job.copies = "many"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"expected template for LetterJob, got none"),
        ({"template": 7}, r"expected template of LetterJob to be str, got 7: int is not an instance of str"),
        ({"template": "a", "copies": "two"}, r"expected copies of LetterJob to be int, got 'two'"),
        ({"template": "a", "options": {"a": [1, "b"]}}, r"options of LetterJob .* item 1 of value of key 'a'"),
        ({"template": "a", "colour": 1}, r"expected names that LetterJob knows \(.*template\), got colour"),
        ({"template": "a", "metadata": 7}, r"expected metadata of LetterJob to be a dict, got int: 7"),
        (
            {"template": "a", "metadata": {"a": [1, {"b": {1, 2}}]}},
            r"metadata of LetterJob\['a'\]\[1\]\['b'\] to be JSON",
        ),
        ({"template": "a", "metadata": {"a": float("nan")}}, r"\['a'\] to be a finite number, got nan"),
        (
            {"template": "a", "metadata": {1: 2}},
            r"expected the keys of metadata of LetterJob to be text, got int: 1",
        ),
        (
            {"template": "a", "metadata": {"a": "\0"}},
            r"text that databases can keep, got one with the character '.x00'",
        ),
        ({"template": "a", "metadata": {"a": "\ud800"}}, r"with the character '.ud800'"),
        ({"template": "a", "metadata": {"a": object}}, r"\['a'\] to be JSON \(.*\), got type: <class 'object'>"),
        ({"template": "a" * (1 << 20)}, r"to be at most 1048576 bytes of JSON, got 1048"),
    ],
)
def test_what_does_not_fit_is_refused_at_create_and_leaves_nothing(
    guest_session: Session, customer: Customer, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidJobData, match=message):
        LetterJob.create(customer, **values)
    assert guest_session.scalars(select(Job)).all() == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "of a type that a job's row can keep, got object"),
        (lambda: 1, "of a type that a job's row can keep, got function"),
        ([Customer()], r"anything of EverythingJob\[0\] to be in the database"),
        (float("inf"), "to be a finite number"),
        ({"key": {1: object()}}, r"anything of EverythingJob\['key'\]\[1\] to be of a type"),
    ],
)
def test_an_argument_that_cannot_be_kept_is_refused_by_name(
    guest_session: Session, value: object, message: str
) -> None:
    with pytest.raises(InvalidJobData, match=message):
        EverythingJob.create(anything=value, session=guest_session)


def test_fields_of_an_interface_are_checked_as_well(guest_session: Session) -> None:
    job = SchemaJob.create(subject="hello", session=guest_session)
    assert (job.subject, job.copies, job.note, job.size) == ("hello", 2, None, 5)
    with pytest.raises(InvalidJobData, match="expected subject for SchemaJob, got none"):
        SchemaJob.create(session=guest_session)
    with pytest.raises(
        InvalidJobData, match="expected copies of SchemaJob to be Int, min 1, max 5, got 9: Value is too big"
    ):
        SchemaJob.create(subject="hello", copies=9, session=guest_session)
    with pytest.raises(
        InvalidJobData, match=r"expected subject of SchemaJob to be TextLine, .*max_length 10, got 'a"
    ):
        SchemaJob.create(subject="a" * 11, session=guest_session)
    with pytest.raises(InvalidJobData, match=r"expected note of SchemaJob to be .*, got 7"):
        SchemaJob.create(subject="hello", note=7, session=guest_session)


@pytest.mark.parametrize("name", ["fail", "queue", "run", "create", "about", "getOopsVars"])
def test_an_argument_cannot_have_the_name_of_a_method_of_every_job(name: str) -> None:
    refused = rf"names of their own, got {name}, which every job has"
    with pytest.raises(IncompleteJobType, match=refused):
        type("NamedBadly", (BaseRunnableJob,), {"__annotations__": {name: bool}})
    with pytest.raises(IncompleteJobType, match=refused):
        type("NamedBadly", (BaseRunnableJob,), {"__annotations__": {name: bool}, name: False})


@pytest.mark.parametrize("name", ["debounce", "at_most", "loaded", "attempt"])
@pytest.mark.parametrize("annotation", [int, "Anything", list[str]])
def test_no_annotation_can_mean_a_name_that_jobcron_keeps_to_itself(name: str, annotation: object) -> None:
    with pytest.raises(IncompleteJobType, match=rf"names of their own, got {name}, which every job has"):
        type("NamedBadly", (BaseRunnableJob,), {"__annotations__": {name: annotation}})


@pytest.mark.parametrize("name", ["job", "context", "session", "metadata"])
@pytest.mark.parametrize(
    "annotation",
    [int, "str", "int | None", "None | int", int | None, datetime | None, "Optional[UUID]", list[str],
     "uuid.UUID", set, "list[Customer]", "tuple[int, ...]", bool, Decimal],
    ids=str,
)  # fmt: skip
def test_an_argument_that_has_the_name_of_an_object_of_every_job_is_refused(name: str, annotation: object) -> None:
    with pytest.raises(IncompleteJobType, match=rf"names of their own, got {name}, which every job has"):
        type("NamedBadly", (BaseRunnableJob,), {"__annotations__": {name: annotation}})


@pytest.mark.parametrize(
    ("name", "annotation"),
    [("job", Job), ("context", Customer), ("context", "guestapp.Customer"), ("session", "Session"),
     ("session", Session), ("metadata", "dict[str, Any]"), ("metadata", dict[str, object]),
     ("context", "DateRange"), ("context", Any), ("context", "Listing | None"), ("context", Customer | None)],
    ids=str,
)  # fmt: skip
def test_what_every_job_has_may_be_annotated_for_type_checkers(name: str, annotation: object) -> None:
    made = type("Annotated", (BaseRunnableJob,), {"__annotations__": {name: annotation}})
    assert not isinstance(vars(made).get(name), Argument)


def test_a_method_may_be_annotated() -> None:
    made = type("Annotated", (BaseRunnableJob,), {"__annotations__": {"run": "object"}, "run": lambda self: None})
    assert callable(vars(made)["run"])


def test_an_argument_cannot_have_the_name_of_something_that_every_job_has() -> None:
    with pytest.raises(IncompleteJobType, match="to have names of their own, got status, which every job has"):

        class Confused(BaseRunnableJob):
            status: str  # type: ignore[assignment]
