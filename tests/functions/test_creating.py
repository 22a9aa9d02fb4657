"""Jobs are created by name, from JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import functionapp
from fooapp import ActJob, Foo
from guestapp import AboutAnythingJob, Customer
from jobcron import InvalidJobData, Job, UnknownJobType
from jobcron.database.tables import ActRow
from jobcron.functions import FunctionJob
from jobcron.functions.creating import create_by_hand, create_job

assert functionapp.export


@pytest.mark.parametrize("name", ["foo_job.ACT", "fooapp.ActJob"])
def test_a_job_of_a_family_is_created_by_its_type_or_its_class(session: Session, foo: Foo, name: str) -> None:
    number = create_job(session, name, {"metadata": {"do": []}}, target=str(foo.id), priority=3)
    job = ActJob.get(number, session=session)
    assert (job.target, job.priority, job.metadata) == (foo, 3, {"do": []})


def test_who_created_a_job_by_hand_is_among_the_acts(session: Session, foo: Foo) -> None:
    number = create_by_hand(session, "foo_job.ACT", {"metadata": {"do": []}}, target=str(foo.id), actor="ada")
    with pytest.raises(InvalidJobData):
        create_by_hand(session, "foo_job.ACT", {"nonsense": 1}, target=str(foo.id), actor="eve")
    (act,) = session.scalars(select(ActRow))
    assert (act.name, act.actor) == (f"create job {number}: foo_job.ACT", "ada")


def test_a_job_without_a_table_is_created_about_a_target(guest_session: Session, customer: Customer) -> None:
    name = f"guestapp.Customer:{customer.id}"
    number = create_job(guest_session, "guestapp.AboutAnythingJob", {}, target=name)
    assert AboutAnythingJob.get(number, session=guest_session).target is customer


def test_a_call_of_a_function_is_created(session: Session) -> None:
    number = create_job(session, "functionapp.export", {"model": "x", "number": 3}, requester="ada")
    job = FunctionJob.get(number, session=session)
    assert (job.function, job.kwargs, job.requester) == ("functionapp.export", {"model": "x", "number": 3}, "ada")


def test_a_call_of_a_function_may_begin_at_a_time(session: Session) -> None:
    start = datetime(2999, 1, 1, tzinfo=UTC)
    number = create_job(session, "functionapp.export", {"model": "x"}, scheduled_start=start)
    assert FunctionJob.get(number, session=session).job.scheduled_start == start


@pytest.mark.parametrize(
    ("name", "arguments", "target", "message"),
    [
        ("foo_job.ACT", {"nonsense": 1}, "1", "nonsense"),
        ("foo_job.ACT", {}, "99", "Foo"),
        (
            "functionapp.export",
            {"modle": 1},
            None,
            "missing a required argument: 'model'; it has no argument modle; did you mean model",
        ),
        ("functionapp.export", {"model": "x"}, "1", "expected no target for the function functionapp.export"),
        ("foo_job.ACT", {}, "abc", "expected the key of fooapp.Foo to be an integer, got 'abc'"),
        ("foo_job.ACT", {}, "[1, 2]", r"expected the key of fooapp.Foo to be 1 value, as JSON: \[id\]; got 1, 2"),
        ("foo_job.ACT", {}, "9999", "expected Foo 9999 to be in the database, there is none"),
        ("foo_job.ACT", {}, None, "expected a target, the primary key of a fooapp.Foo: fooapp.ActJob needs one"),
        ("foo_job.ACT", {}, str(2**63), "expected the key of fooapp.Foo to be an integer that a row can have"),
        ("foo_job.ACT", {}, "9" * 5000, "expected the key of fooapp.Foo to be an integer, got '999"),
        ("foo_job.ACT", {}, "[" * 5000, "expected the key of fooapp.Foo to be an integer, got"),
        ("foo_job.ACT", {}, '"\\u0000"', "expected the key of fooapp.Foo to be text that databases can keep"),
        ("foo_job.ACT", {"metadata": {"$object": ["no.Such", [1]]}}, "1", "no.Such"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_created(
    session: Session, foo: Foo, name: str, arguments: dict[str, object], target: str | None, message: str
) -> None:
    about = target if target != "1" or name != "foo_job.ACT" else str(foo.id)
    with pytest.raises(InvalidJobData, match=message):
        create_job(session, name, arguments, target=about)
    assert session.query(Job).all() == []


def test_an_unknown_name_is_refused_with_the_known_types(session: Session) -> None:
    with pytest.raises(UnknownJobType, match=r"got: no\.such; the types are: .*foo_job\.ACT"):
        create_job(session, "no.such", {})
