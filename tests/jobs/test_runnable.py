"""What a job says of itself, and to whom."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

import guestapp
from fooapp import DoFooJob, Foo
from instances import Instance
from jobcron import BaseRunnableJob, IncompleteJobType
from recipientsapp import QuietJob


@pytest.mark.feature("LP-04")
def test_a_job_that_says_nothing_has_defaults(instance: Instance) -> None:
    with instance.session() as session:
        job = QuietJob.create(session=session)
        assert job.getOperationDescription() == "unspecified operation"
        assert (job.getErrorRecipients(), job.getOopsRecipients()) == ([], [])
        assert (BaseRunnableJob.user_error_types, job.retry_error_types) == ((), ())
        assert ("job_id", job.id) in job.getOopsVars()


def test_a_job_type_without_run_is_refused_when_its_class_is_made() -> None:
    with pytest.raises(
        IncompleteJobType, match=r"Nothing, whose job type is GuestJobType\.LETTER, to have a method run"
    ):

        class Nothing(BaseRunnableJob):
            class_job_type = guestapp.GuestJobType.LETTER


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "max_retries",
            "3",
            "expected max_retries of .*Odd to be a whole number .*, got str: '3'",
        ),
        ("max_retries", True, "expected max_retries of .*Odd to be a whole number"),
        ("priority", 1.5, "expected priority of .*Odd to be a whole number"),
        ("retry_error_types", ("ValueError",), "expected retry_error_types of .*Odd to be classes of exceptions"),
        (
            "user_error_types",
            int,
            "expected user_error_types of .*Odd to be .*, got <class 'int'>",
        ),
        (
            "run",
            lambda self, order, copies=1, *rest: None,
            "expected run of .*Odd to take nothing but self",
        ),
    ],
)
def test_values_that_make_no_sense_are_refused_when_the_class_is_made(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(IncompleteJobType, match=message):
        type("Odd", (BaseRunnableJob,), {name: value})


def test_a_class_may_have_one_kind_of_error_and_a_run_with_defaults() -> None:
    values = {"retry_error_types": KeyError, "user_error_types": [], "run": lambda self, *rest, **more: None}
    made: Any = type("Fine", (BaseRunnableJob,), values)
    assert made.retry_error_types is KeyError


@pytest.mark.feature("LP-11")
def test_oops_vars_of_the_base_are_extended_by_the_family(session: Session, foo: Foo) -> None:
    job = DoFooJob.create(foo)
    oops_vars = job.getOopsVars()
    assert ("job_id", job.job.id) in oops_vars
    assert ("foo_id", foo.id) in oops_vars
    assert ("foo_job_id", job.context.id) in oops_vars
    assert ("foo_job_type", job.context.job_type.title) in oops_vars


@pytest.mark.parametrize("progress", [-1, 101, "half", 2**40, 1.5])
def test_progress_is_a_per_cent(session: Session, foo: Foo, progress: object) -> None:
    job = DoFooJob.create(foo)
    with pytest.raises(ValueError, match="from 0 to 100"):
        job.progress = progress  # type: ignore[assignment]
    job.progress = 100
    assert job.job.progress == 100
