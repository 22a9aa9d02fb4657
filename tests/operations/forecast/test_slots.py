"""A plan says which schedules create jobs first, as the run then does."""

from __future__ import annotations

import json

import pytest

from instances import Instance
from schedules import Scheduled


@pytest.mark.parametrize(("missed", "most"), [("once", 1), ("all\noverlap: allow", 3)])
def test_the_jobs_that_schedules_create_first_are_told_and_then_created(
    instance: Instance, missed: str, most: int
) -> None:
    scheduled = Scheduled(instance)
    scheduled.define(f"every: 1d\nmissed: {missed}")
    scheduled.run()
    scheduled.missed_since(216_000)  # two and a half days
    (told,) = json.loads(instance.command("plan", "functions", "--json")[0])["schedules"]
    assert (told["name"], told["job"]) == ("nightly", "functionapp.export")
    assert told["count"] in ({1} if most == 1 else {2, 3})
    out, _ = instance.command("plan", "functions")
    assert f"# first, the schedule nightly creates {told['count']} job" in out
    assert "the run would find nothing to do" not in out
    log = scheduled.run()
    assert log.count("The schedule nightly: job ") == told["count"]
    assert f" for {told['first']}." in log


def test_a_schedule_whose_last_job_has_not_ended_is_not_told(instance: Instance) -> None:
    scheduled = Scheduled(instance)
    scheduled.define("every: 1d")
    scheduled.run()
    scheduled.missed_since(90_000)
    scheduled.run()
    scheduled.let_wait()
    scheduled.missed_since(90_000)
    assert json.loads(instance.command("plan", "functions", "--json")[0])["schedules"] == []
    assert "creates" not in instance.command("plan", "functions")[0]
