"""Each index and each trigger that is lost is found; and the doctor knows all that the migrations make."""

from __future__ import annotations

import pytest

from examining import found, only
from instances import Instance
from jobcron.operations.faults.guards import INDEXES, TRIGGERS
from jobcron.queue.health import Health

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

MADE = {
    "postgresql": (
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid::regclass::text LIKE 'jobcron\\_%' "
        "AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)",
        "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
        "WHERE relname LIKE 'jobcron\\_%' AND NOT tgisinternal",
    ),
    "sqlite": (
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name LIKE 'jobcron_%' AND sql IS NOT NULL",
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'jobcron_%'",
    ),
}
"""The statements that return the indexes of jobcron's tables, but for those of constraints, and the triggers."""


@pytest.mark.feature("N-08")
def test_the_doctor_knows_each_index_and_each_trigger_that_the_migrations_make(instance: Instance) -> None:
    dialect = instance.database.dialect
    indexes, triggers = ({name for (name,) in instance.query(statement)} for statement in MADE[dialect])
    assert indexes == INDEXES[dialect]
    assert triggers == set(TRIGGERS[dialect])


@pytest.mark.feature("N-08")
def test_each_missing_index_is_found(well: Instance) -> None:
    first, *others = indexes = sorted(INDEXES[well.database.dialect])
    for dropped, missing in (([first], [first]), (others, indexes)):
        for index in dropped:
            well.query(f"DROP INDEX {index}")
        findings = found(well)
        assert {(finding.check, finding.health) for finding in findings} == {("indexes", Health.CRITICAL)}
        assert [finding.text.split()[2] for finding in findings] == missing


def test_each_lost_guard_is_found(well: Instance) -> None:
    dialect = well.database.dialect
    first, *others = triggers = sorted(TRIGGERS[dialect])
    for dropped, missing in (([first], [first]), (others, triggers)):
        for trigger in dropped:
            well.query(f"DROP TRIGGER {trigger}{' ON jobcron_job' if dialect == 'postgresql' else ''}")
        findings = found(well)
        assert {(finding.check, finding.health) for finding in findings} == {("triggers", Health.CRITICAL)}
        told = [f"the trigger {name} is missing: {TRIGGERS[dialect][name]}" for name in missing]
        assert [finding.text for finding in findings] == told


@on_postgresql
def test_an_invalid_index_is_found(well: Instance) -> None:
    well.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'jobcron_run_last'::regclass")
    assert only(well).remedy == "REINDEX INDEX CONCURRENTLY jobcron_run_last"


@on_postgresql
def test_a_disabled_guard_is_found(well: Instance) -> None:
    well.query("ALTER TABLE jobcron_job DISABLE TRIGGER jobcron_job_release")
    assert only(well).text.startswith("the trigger jobcron_job_release is disabled: no job is released")
    well.query("ALTER TABLE jobcron_job ENABLE REPLICA TRIGGER jobcron_job_release")  # not for our writes
    assert only(well).remedy == "ALTER TABLE jobcron_job ENABLE TRIGGER jobcron_job_release"
