"""``jobcron plan`` prints what the next run would do."""

from __future__ import annotations

import pytest

from instances import SECTIONS
from operating import Operator


def test_the_jobs_of_the_next_run_are_printed_in_order(operator: Operator) -> None:
    operator.instance.run("act")
    first, second = operator.instance.act(), operator.instance.act(priority=5)
    rows = operator.table("plan", "act")
    assert [(row["place"], row["step"], row["id"]) for row in rows] == [
        ("1", "run", str(second)), ("2", "run", str(first)),
    ]  # fmt: skip
    out = operator("plan", "act", "--limit", "1")
    assert "# more: --limit 2\n" in out
    assert "# fooapp.ActJob, JobRunner; claimed by up to 100 at once; workers: 1; leases: 300 s\n" in out


def test_a_plan_as_json_has_a_stable_shape(operator: Operator) -> None:
    operator.instance.run("act")
    operator.instance.act()
    plan = operator.json("plan", "act")
    assert list(plan) == [
        "section", "source", "decides", "runner", "batch_size", "max_workers", "max_runtime", "typical_seconds",
        "expected", "crash_limit", "lease_seconds", "obstacles", "schedules", "jobs", "is_complete",
    ]  # fmt: skip
    assert list(plan["jobs"][0]) == ["id", "step", "type", "priority", "scheduled_start", "unique_key", "why"]


def test_a_section_that_does_not_run_leaves_with_status_1(operator: Operator) -> None:
    operator.instance.configure(sections=SECTIONS.replace("IActJobSource\n", "IActJobSource\nmax_runtime: 5s\n"))
    out = operator("plan", "act", expect=1)
    assert "# the run would find nothing to do\n" in out
    assert "# no job is started after 5 s\n" in out
    assert "# does not run now: never run: section act has never run" in out


@pytest.mark.parametrize(("limit", "told"), [(10, "about 2 jobs"), (5, "about 1 job")])
def test_how_many_jobs_fit_into_a_run_is_told(operator: Operator, limit: int, told: str) -> None:
    keys = f"IActJobSource\nmax_runtime: {limit}s\n"
    operator.instance.configure(sections=SECTIONS.replace("IActJobSource\n", keys))
    operator.instance.act()
    operator.instance.run("act")
    for column, second in (("date_started", 0), ("date_completed", 4)):
        query = f"UPDATE jobcron_run SET {column} = :then"
        operator.instance.query(query, then=f"2026-01-01 00:00:0{second}.000000")
    out = operator("plan", "act", expect=1)  # silent for long
    assert f"# no job is started after {limit} s: at 4.0 s a job, {told}\n" in out


def test_a_section_that_is_not_there_is_a_mistake_of_the_user(operator: Operator) -> None:
    operator("plan", "nothing", expect=2)
    assert "nothing" in operator.err
    operator("plan", "act", "--limit", "0", expect=2)
    assert "expected a number from 1 to 10,000,000, got: '0'" in operator.err
