"""Values without a name where a job is created: one is its target, more are refused with the names they need."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from fooapp import DoFooJob, Foo
from guestapp import Customer, LetterJob
from jobcron import InvalidJobData
from jobcron.steps import StepsJob


@pytest.mark.feature("LP-08")
@pytest.mark.parametrize("create", [LetterJob.create, LetterJob.acquire])
def test_a_second_value_without_a_name_is_refused_with_the_class_and_its_arguments(
    guest_session: Session, customer: Customer, create: Callable[..., Any]
) -> None:
    with pytest.raises(InvalidJobData) as caught:
        create(customer, "hello", 3)
    assert str(caught.value) == (
        "expected all values but the first to have names, as in "
        f"LetterJob.{create.__name__}(target: guestapp.Customer, *, template: str, copies: int = 1, "
        "options: dict[str, list[int]] = {}, session=None, **values), "
        "got after the first, without names: 'hello', 3"
    )
    assert create(customer, template="hello").target is customer


@pytest.mark.feature("LP-34")
def test_many_jobs_at_once_have_one_value_without_a_name_too(guest_session: Session, customer: Customer) -> None:
    with pytest.raises(
        InvalidJobData, match=r"as in LetterJob\.createMultiple\(jobs, \*, template: str, .*'hello'$"
    ):
        LetterJob.createMultiple([customer], "hello")  # type: ignore[call-arg, arg-type]
    assert len(LetterJob.createMultiple([customer], template="hello")) == 1


@pytest.mark.feature("LP-08")
def test_the_columns_of_a_family_and_jobs_of_steps_are_named_as_well(session: Session, foo: Foo) -> None:
    with pytest.raises(InvalidJobData, match=r"as in DoFooJob\.create\(target, \*, .*session=None.*: 'x'$"):
        DoFooJob.create(foo, "x")  # type: ignore[call-arg, arg-type]
    with pytest.raises(InvalidJobData, match=r"as in StepsJob\.create\("):
        StepsJob.create(foo, {"workspace": 1})  # type: ignore[call-arg, arg-type]


def test_tools_see_the_signature_of_the_method_itself() -> None:
    assert list(inspect.signature(LetterJob.create).parameters) == ["target", "session", "values"]
    assert (LetterJob.create.__doc__ or "").startswith("Create a job in the caller's transaction")
