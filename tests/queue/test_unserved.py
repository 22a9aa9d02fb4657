"""Types of jobs that no section runs."""

from __future__ import annotations

import pytest

from fooapp import DoFooJob
from health_checks import check, move
from instances import Instance

ONLY_ACT = "[act]\nsource_interface: fooapp.IActJobSource\ndbuser: foo_runner\n"
SAID = "no section runs jobs of the type foo_job.DO_FOO, the first of which has been due for 2:00:"


@pytest.fixture
def unserved(instance: Instance) -> Instance:
    """Return an instance with a job that no section runs, due for a moment."""
    instance.run("act")  # the types of the application are known then
    with instance.session() as session:
        DoFooJob.create(instance.foo(session), session=session)
    instance.query("DELETE FROM jobcron_run")
    instance.configure(sections=ONLY_ACT)
    return instance


@pytest.mark.feature("LP-27")
def test_jobs_that_no_section_runs_are_told_by_the_checks_and_by_the_first_run(unserved: Instance) -> None:
    move(unserved, "jobcron_job", "scheduled_start", 2)
    told = [unserved.run("act").count(f"WARNING {SAID}") for _ in range(2)]
    assert told == [1, 0]  # once in each interval
    out = check(unserved, 1)
    assert out.startswith(f"JOBCRON WARNING - other types: {SAID}")
    assert f"WARNING  other types: {SAID}" in out
    check(unserved, 0, "act")  # a look at one section says nothing of others
    out, _ = unserved.command("check-config")
    assert f"warning  {SAID}" in out


def test_jobs_that_have_not_waited_long_may_be_another_instances(unserved: Instance) -> None:
    move(unserved, "jobcron_job", "scheduled_start", 0.4)
    assert "no section runs" not in unserved.run("act")
    check(unserved, 0)


def test_nothing_is_known_where_a_script_names_the_source(unserved: Instance) -> None:
    move(unserved, "jobcron_job", "scheduled_start", 2)
    unserved.configure(sections=f"{ONLY_ACT}[by_its_script]\nbatch_size: 1\n")
    assert "no section runs" not in unserved.run("act")
    assert "no section runs" not in check(unserved, 3)
