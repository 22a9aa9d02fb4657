"""What a job's row may hold as data: plain JSON within limits."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from guestapp import Customer, EverythingJob, LetterJob
from jobcron import InvalidJobData
from jobcron.jobs.arguments import json_data


@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: (inner,)])
def test_data_that_is_too_deep_is_refused_also_where_it_has_no_end(
    guest_session: Session, customer: Customer, make: Any
) -> None:
    deep: Any = 1
    for _ in range(31):
        deep = make(deep)
    LetterJob.create(customer, template="a", metadata={"deep": deep})
    with pytest.raises(InvalidJobData, match="at most 32 levels deep"):
        LetterJob.create(customer, template="a", metadata={"deep": make(deep)})
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidJobData, match="at most 32 levels deep"):
        LetterJob.create(customer, template="a", metadata={"deep": endless})
    with pytest.raises(InvalidJobData, match="too many levels"):
        EverythingJob.create(anything=endless, session=guest_session)


def test_json_is_what_both_databases_keep() -> None:
    json_data.check({"a": [1, 1.5, None, True, "ü", 1 << 70]}, "data")
    with pytest.raises(InvalidJobData, match="expected data to be JSON"):
        json_data.check(b"bytes", "data")


def test_a_number_that_cannot_be_written_is_refused(guest_session: Session) -> None:
    with pytest.raises(InvalidJobData, match="to be a number of at most 4096 bits"):
        EverythingJob.create(anything=10**5000, session=guest_session)
