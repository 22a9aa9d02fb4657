"""What callers give for a job's shared row is checked before anything is written, the same on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from fooapp import DoFooJob, Foo
from jobcron import InvalidJobData, Job

NOON = datetime(2030, 5, 17, 12, tzinfo=UTC)

WRONG: list[tuple[str, Any, str]] = [
    ("priority", "high", "a whole number from -2147483648 to 2147483647"),
    ("priority", True, "a whole number"),
    ("priority", 2**31, "a whole number"),
    ("max_retries", -1, "a whole number from 0 to 2147483647, or None"),
    ("max_retries", 2.5, "a whole number"),
    ("requester", 7, "text without NUL"),
    ("description", "a\0b", "text without NUL"),
    ("description", "\ud800", "text without NUL"),
    ("description", "é" * 600_000, "of at most 1048576 bytes"),
    ("unique_key", "", "text without NUL, of 1 to 2000 bytes"),
    ("unique_key", "é" * 1001, "of 1 to 2000 bytes"),
    ("queue_name", "", "text without NUL, of 1"),
    ("expires_at", datetime(2030, 1, 1), "a datetime with a time zone"),
    ("scheduled_start", "soon", "a datetime with a time zone"),
    ("scheduled_start", datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))), "a datetime with a time zone"),
]


def create(foo: Foo, values: dict[str, Any]) -> None:
    DoFooJob.create(foo, **values)


def create_multiple(foo: Foo, values: dict[str, Any]) -> None:
    DoFooJob.createMultiple([foo, foo], **values)


def acquire(foo: Foo, values: dict[str, Any]) -> None:
    DoFooJob.acquire(foo, **values)


@pytest.mark.feature("LP-08")
@pytest.mark.parametrize("make", [create, create_multiple, acquire])
def test_a_value_that_its_column_cannot_hold_is_refused_by_name(
    session: Session, foo: Foo, make: Callable[[Foo, dict[str, Any]], None]
) -> None:
    for name, value, expected in WRONG:
        with pytest.raises(InvalidJobData) as caught:
            make(foo, {name: value})
        said = str(caught.value)
        assert f"expected {name} of DoFooJob to be " in said
        assert expected in said
        assert f"got {type(value).__name__}: " in said
    assert session.scalars(select(Job)).all() == []


def test_a_job_that_expires_before_it_may_start_is_refused(session: Session, foo: Foo) -> None:
    for expiry in (NOON, NOON - timedelta(seconds=1)):
        with pytest.raises(
            InvalidJobData, match=r"expires_at of DoFooJob to be after scheduled_start, 2030-05-17T12"
        ):
            DoFooJob.create(foo, scheduled_start=NOON, expires_at=expiry)


def test_what_is_just_within_the_bounds_is_kept(session: Session, foo: Foo) -> None:
    values: dict[str, Any] = {
        "priority": -(2**31),
        "max_retries": 2**31 - 1,
        "requester": "",
        "unique_key": "é" * 1000,
        "expires_at": NOON + timedelta(microseconds=1),
        "scheduled_start": NOON,
    }
    row = DoFooJob.create(foo, **values).job
    session.refresh(row)
    assert {name: getattr(row, name) for name in values} == values


def test_none_is_what_is_not_given(session: Session, foo: Foo) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("priority", "scheduled_start", "description", "unique_key"))
    first = DoFooJob.acquire(foo, **nothing)
    assert (first.priority, first.description) == (10, None)
    assert DoFooJob.acquire(foo, **nothing) == first
