"""The crash limit: a job that kills its process again and again fails, and its deaths use up no retry."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus
from runner_processes import Gate, configure, end_leases, make, numbers
from shortleaseapp import BusyJob, OwnOrderJob

WRITE = ("write", "effect")


KILLED = -signal.SIGKILL


@pytest.mark.feature("LP-23")
def test_a_death_uses_up_no_retry(instance: Instance, tmp_path: Path) -> None:
    job = instance.act(("kill_once", str(tmp_path / "died")), ("raise", "retry"), max_retries=1)
    instance.command("run", "act", expect=KILLED)
    instance.end_lease(job)
    instance.run("act")
    instance.query("UPDATE jobcron_job SET scheduled_start = date_created")  # the retry waits no longer
    instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.FAILED, 3, 1)
    assert instance.events(job) == ["taken over", "retry", "failed"]


@pytest.mark.feature("LP-19")
@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("job_class", [BusyJob, OwnOrderJob])
def test_a_job_that_always_kills_its_process_fails_at_the_third_death_and_the_others_complete(
    instance: Instance, gate: Gate, job_class: Any
) -> None:
    configure(instance)
    section = "busy" if job_class is BusyJob else "own_order"
    quick = [make(instance, job_class, WRITE) for _ in range(2)]
    poison = make(instance, job_class, WRITE, gate.touch, ("kill", ""))
    rest = [make(instance, job_class, WRITE) for _ in range(3)]
    for deaths in (1, 2, 3):
        instance.command("run", section, expect=KILLED)
        assert gate.count() == deaths
        assert instance.row(poison).status is JobStatus.RUNNING
        assert instance.oopses() == []
        end_leases(instance)
    instance.command("run", section)
    instance.run(section)
    row = instance.row(poison)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.FAILED, 3, 3)
    assert gate.count() == 3  # never a fourth time
    assert [path.name for path in instance.oopses()] == [row.oops_id]
    assert "CrashLimitReached" in instance.oopses()[0].read_text()
    assert instance.events(poison) == ["taken over", "taken over", "taken over", "failed"]
    assert numbers(instance, JobStatus.COMPLETED) == [*quick, *rest]
    assert sorted(job for job, *_ in instance.ledger()) == [*quick, *rest]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_that_may_die_once_fails_for_one_attempt(instance: Instance) -> None:
    instance.configure("crash_limit: 1")
    poison = instance.act(("kill", ""))
    instance.command("run", "act", expect=KILLED)
    end_leases(instance)
    instance.run("act")
    assert "1 attempt at this job began and left no end" in instance.oopses()[0].read_text()
    out, _ = instance.command("why", str(poison), expect=1)
    assert "its process died in 1 attempt, and the limit is 1" in out


@pytest.mark.feature("LP-19")
def test_a_job_that_kills_whoever_loads_it_fails_for_its_deaths_and_the_others_complete(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        """Ends the process, as far as the run can tell."""

    load = ActJob.load.__func__  # type: ignore[attr-defined]
    deadly, neighbour = instance.act(WRITE), instance.act(WRITE)

    def deadly_load(cls: Any, session: Any, numbers: list[int]) -> Any:
        if deadly in numbers:
            raise Death
        return load(cls, session, numbers)

    monkeypatch.setattr(ActJob, "load", classmethod(deadly_load))
    for deaths in range(4):
        with pytest.raises(Death):
            instance.run("act")
        assert (instance.row(deadly).status, instance.row(deadly).crash_count) == (JobStatus.RUNNING, deaths)
        end_leases(instance)
    instance.run("act")
    row = instance.row(deadly)
    assert (row.status, row.crash_count) == (JobStatus.FAILED, 3)  # who died of ending it is not counted
    assert "CrashLimitReached" in instance.oopses()[0].read_text()
    assert instance.ledger() == [(neighbour, 1, "effect")]
