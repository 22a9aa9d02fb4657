"""``jobcron why``: its statuses and what it prints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from operating import Operator


def test_a_job_that_runs_next_is_status_0_and_one_that_does_not_is_status_1(operator: Operator) -> None:
    number = operator.instance.act()
    out = operator("why", number, expect=1)
    assert out.startswith(
        f"job {number} does not run:\n1. never run: section act has never run\n   -> is its line "
    )
    operator.instance.run("act")
    later = operator.instance.act(scheduled_start=datetime.now(UTC) + timedelta(hours=3))
    out = operator("why", later, expect=1)
    assert "1. not due: it is not due for " in out
    assert f"   -> jobcron run-now {later}\n" in out
    ready = operator.instance.act()
    assert operator("why", ready) == f"job {ready} runs at the next opportunity\n"
    assert operator("why", operator.instance.row(ready).uuid) == f"job {ready} runs at the next opportunity\n"


def test_reasons_as_json_have_a_stable_shape(operator: Operator) -> None:
    found = operator.json("why", operator.instance.act(), expect=1)
    assert list(found) == ["job", "section", "is_claimable", "is_runnable", "reasons", "schedule"]
    assert list(found["reasons"][0]) == ["cause", "text", "remedy", "until", "is_blocking"]
    assert found["reasons"][0]["cause"] == "never run"


def test_a_section_is_explained(operator: Operator) -> None:
    assert operator("why", "--section", "act", expect=1).startswith("section act does not run:\n1. never run: ")
    operator.instance.run("act")
    out = operator("why", "--section", "act")
    assert out == "section act runs at the next opportunity:\n1. nothing ready: no job is ready: none waits\n"


@pytest.mark.parametrize("arguments", [[], ["1", "--section", "act"]])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_thing_is_asked_for(operator: Operator, arguments: list[str]) -> None:
    operator("why", *arguments, expect=2)
    assert "expected the number of a job, or --section SECTION" in operator.err
