"""The database's clock is set while a job runs. The rows' times are moved instead: to them it is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus
from runner_processes import Gate, started

TIMES = ("date_created", "scheduled_start", "date_started", "lease_expires")


def set_clock(instance: Instance, hours: int) -> None:
    """Set the database's clock forward or back by hours, as far as the rows of jobs can tell."""
    moved = {
        "sqlite": "{0} = strftime('%Y-%m-%d %H:%M:%f000', {0}, '{1:+d} hours')",
        "postgresql": "{0} = {0} + interval '{1} hours'",
    }[instance.database.dialect]
    instance.query(f"UPDATE jobcron_job SET {', '.join(moved.format(name, -hours) for name in TIMES)}")


@pytest.mark.feature("LP-22")
def test_a_clock_that_is_set_back_takes_no_job_from_its_runner_and_ends_none(
    instance: Instance, gate: Gate
) -> None:
    job = instance.act(gate.touch, gate.wait, ("write", "effect"), ("progress", 50), ("checkpoint", ""))
    with started(instance, "act") as run:
        gate.reached()
        set_clock(instance, -3)
        gate.open()
        run.end()
    assert instance.row(job).status is JobStatus.COMPLETED
    assert instance.ledger() == [(job, 1, "effect")]


@pytest.mark.feature("LP-22")
def test_a_clock_that_is_set_forward_ends_leases_and_no_effect_is_doubled(
    instance: Instance, gate: Gate, tmp_path: Path
) -> None:
    """As after a standstill: the job is taken over, and its first runner commits nothing."""
    other = Instance(tmp_path / "other", instance.url)  # another host: its runs have another lock
    job = instance.act(gate.touch, gate.wait, ("write", "effect"))
    with started(instance, "act") as first:
        gate.reached()
        set_clock(instance, 3)
        with started(other, "act") as second:
            gate.reached(2)
            gate.open()
            logs = first.end(), second.end()
    assert instance.row(job).status is JobStatus.COMPLETED
    assert instance.ledger() == [(job, 2, "effect")]
    assert f"ActJob (ID {job}) lost its lease; nothing was committed." in logs[0]
    assert instance.events(job) == ["taken over"]
    other.database.close()
