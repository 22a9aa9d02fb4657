"""Families without their table, and with rows whose jobs are gone, are found."""

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


def test_a_family_without_its_table_is_critical(well: Instance) -> None:
    well.query("DROP TABLE foo_job")
    (finding,) = (each for each in found(well) if each.check == "families")
    assert finding.health is Health.CRITICAL
    assert finding.text == "the table foo_job is not there: jobs of its family can neither be created nor run"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_family_that_the_role_may_not_read_is_left_out(well: Instance) -> None:
    well.query("CREATE SCHEMA elsewhere")
    well.query("ALTER TABLE foo_job SET SCHEMA elsewhere")
    assert "families" not in {finding.check for finding in found(well)}
