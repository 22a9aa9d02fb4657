"""Rows of families whose jobs are gone are found."""

from __future__ import annotations

import pytest

from examining import found, only
from instances import Instance
from jobcron.queue.health import Health


def without_foreign_key(instance: Instance, statement: str, **parameters: object) -> None:
    """Execute a statement as if no foreign key led to the jobs."""
    if instance.database.dialect == "postgresql":
        with instance.database.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql(statement)
        return
    with instance.database.engine.connect() as connection:
        connection.rollback()
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys = off")
        driver.execute(statement)
        driver.commit()
    instance.database.close()


@pytest.mark.feature("N-08")
def test_rows_of_a_family_without_jobs_are_found(well: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [well.act() for _ in range(4)]
    well.run("act")
    assert found(well) == []
    without_foreign_key(well, f"DELETE FROM jobcron_job WHERE id IN ({jobs[0]}, {jobs[1]}, {jobs[3]})")
    finding = only(well)
    assert (finding.check, finding.health) == ("families", Health.WARNING)
    assert finding.text == f"foo_job has 3 rows of jobs that are gone: {jobs[0]} {jobs[1]} {jobs[3]}"
    monkeypatch.setattr("jobcron.operations.faults.families.LOOKED_AT", 1)
    assert only(well).text == f"foo_job has 2 rows of jobs that are gone: {jobs[0]} {jobs[3]}"
    well.query(only(well).remedy.partition(", and")[0])
    assert found(well) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_family_that_the_role_may_not_read_is_left_out(well: Instance) -> None:
    well.query("ALTER TABLE foo_job RENAME TO elsewhere")
    assert "families" not in {finding.check for finding in found(well)}
