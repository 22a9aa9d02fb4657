"""What people write is read, or refused with what was expected."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from jobcron import JobStatus
from jobcron.operations.asking import age_of, argument_of, day_of, moment_of, statuses_of, target_of


@pytest.mark.parametrize(
    ("read", "text", "found"),
    [
        (age_of, "1h30m", timedelta(minutes=90)),
        (age_of, "0s", timedelta()),
        (day_of, "2026-11-30", date(2026, 11, 30)),
        (argument_of, "copies=3", ("copies", 3)),
        (argument_of, "name=Ada=Ben", ("name", "Ada=Ben")),
        (argument_of, 'name="3"', ("name", "3")),
        (moment_of, "2026-11-30T08:00+01:00", datetime(2026, 11, 30, 7, tzinfo=UTC)),
        (target_of, "shop.model.Order:1:2", ("shop.model.Order", "1:2")),
        (statuses_of, "failed", (JobStatus.FAILED,)),
        (statuses_of, "FAILED,waiting", (JobStatus.WAITING, JobStatus.FAILED)),
        (
            statuses_of,
            "pending",
            (JobStatus.WAITING, JobStatus.RUNNING, JobStatus.SUSPENDED, JobStatus.BLOCKED),
        ),
    ],
)
def test_what_people_write_is_read(read: Callable[[str], object], text: str, found: object) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (age_of, "soon", "a duration such as 30s, 10m or 2d"),
        (age_of, "-1h", "a duration"),
        (age_of, "99999999d", "a duration such as 30s, 10m or 2d, at most 36500d, got: "),
        (age_of, f"{10**30}d", "a duration"),
        (day_of, "30.11.2026", "a day such as 2026-11-30"),
        (day_of, "0001-01-01", "a day"),
        (day_of, "9999-12-31", "a day"),
        (argument_of, "copies", "NAME=VALUE"),
        (argument_of, "=3", "NAME=VALUE"),
        (argument_of, "a=NaN", r"the argument\['a'\] to be a finite number"),
        (argument_of, "a=[1e999]", r"the argument\['a'\]\[0\] to be a finite number"),
        (argument_of, r'a="\ud800"', r"the argument\['a'\] to be text that databases can keep"),
        (argument_of, r'a="\u0000"', r"the argument\['a'\] to be text that databases can keep"),
        (moment_of, "9999-12-31T23:59:59-14:00", "a time with its zone"),
        (moment_of, "0001-01-01T00:00:00+14:00", "a time with its zone"),
        (moment_of, "2026-11-30T08:00", "a time with its zone"),
        (moment_of, "tomorrow", "a time with its zone"),
        (target_of, "shop.model.Order", "CLASS:KEY"),
        (target_of, ":1", "CLASS:KEY"),
        (statuses_of, "lost", "one of waiting, running"),
        (statuses_of, "failed,", "one of waiting, running"),
    ],
)
def test_what_is_none_is_refused_with_what_was_expected(
    read: Callable[[str], object], text: str, expected: str
) -> None:
    with pytest.raises(ValueError, match=f"expected {expected}"):
        read(text)
