"""How long the jobs of a type waited and took."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from instances import Instance
from jobcron.operations.processes.durations import Durations, durations


def test_half_of_the_jobs_of_a_type_took_no_longer_than_the_median(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with instance.database.begin(writing=False) as connection:
        assert durations(connection) == {}
    jobs = [instance.act() for _ in range(20)]
    instance.run("act")
    for number, job in enumerate(jobs, 1):
        instance.query(
            "UPDATE jobcron_job SET date_created = :created, scheduled_start = :due, date_started = :started,"
            " date_finished = :finished WHERE id = :job",
            job=job,
            created=moment(instance, -3600),
            due=moment(instance, 0),
            started=moment(instance, number),
            finished=moment(instance, 3 * number),
        )
    instance.act()  # it waits, and counts for nothing
    with instance.database.begin(writing=False) as connection:
        (found,) = durations(connection).values()
    assert (found.jobs, [round(value, 3) for value in vars_of(found)]) == (20, [10.0, 19.0, 20.0, 38.0])
    monkeypatch.setattr("jobcron.operations.processes.durations.JOBS", 6)
    with instance.database.begin(writing=False) as connection:
        (newest,) = durations(connection).values()
    assert (newest.jobs, round(newest.waited)) == (5, 18)


def moment(instance: Instance, seconds: float) -> str:
    """Return a time as a statement has it, so many seconds into a day."""
    at = datetime(2026, 1, 2) + timedelta(seconds=seconds)
    return f"{at:%Y-%m-%d %H:%M:%S.%f}" + ("+00:00" if instance.database.dialect == "postgresql" else "")


def vars_of(found: Durations) -> tuple[float, ...]:
    """Return the times."""
    return found.waited, found.waited_most, found.ran, found.ran_most
