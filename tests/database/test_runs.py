"""The rows of runs."""

from __future__ import annotations

import pytest

from instances import Instance
from jobcron.database.runs import EndedRun, is_due, record_run, typical_seconds

NOTHING = EndedRun("shop", 1.0, completed=0, incomplete=0, oopses=0)
BUSY = EndedRun("shop", 6.0, completed=2, incomplete=1, oopses=1)


def counts(instance: Instance) -> list[tuple[int, int, int]]:
    """Return what the rows say."""
    rows = instance.query("SELECT completed, incomplete, oopses FROM jobcron_run ORDER BY id")
    return [tuple(row) for row in rows]


@pytest.mark.feature("LP-27")
def test_runs_that_found_nothing_leave_one_row_in_an_interval_and_others_one_each(instance: Instance) -> None:
    with instance.database.begin() as connection:
        assert is_due(connection, "shop", 3600.0)
        for run in (NOTHING, NOTHING, BUSY, BUSY, NOTHING):
            record_run(connection, run, 3600.0)
        assert not is_due(connection, "shop", 3600.0)
        assert is_due(connection, "another", 3600.0)
    assert counts(instance) == [(0, 0, 0), (2, 1, 1), (2, 1, 1)]


def test_how_long_a_job_takes_is_told_by_the_runs_that_had_some(instance: Instance) -> None:
    with instance.database.begin() as connection:
        record_run(connection, NOTHING, 0.0)
        assert typical_seconds(connection, "shop") is None
        record_run(connection, BUSY, 0.0)
        assert typical_seconds(connection, "shop") == pytest.approx(2.0, abs=0.1)
