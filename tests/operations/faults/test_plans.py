"""A statement of a run or a tick that reads the whole table of jobs is found, on both databases."""

from __future__ import annotations

import pytest

from examining import found
from instances import Instance
from jobcron.operations.faults.guards import INDEXES


@pytest.mark.feature("N-08")
def test_statements_that_read_the_whole_table_are_found_once_it_is_large(
    well: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    well.multiply(well.act(), 50, priority="3")
    monkeypatch.setattr("jobcron.operations.faults.plans.PLANNED_ROWS", 10)
    if well.database.dialect == "sqlite":  # its plans have no costs here: the indexes are used
        assert found(well) == []
    for index in sorted(INDEXES[well.database.dialect]):
        if index.startswith("jobcron_job_"):
            well.query(f"DROP INDEX {index}")
    findings = [finding for finding in found(well) if finding.check == "plans"]
    assert {finding.text.split()[2] for finding in findings} == {"claim", "dead", "expire", "tick"}
    assert all("ANALYZE" in finding.remedy for finding in findings)
    monkeypatch.setattr("jobcron.operations.faults.plans.PLANNED_ROWS", 1000)
    assert "plans" not in {finding.check for finding in found(well)}  # few rows: to read them all is right
