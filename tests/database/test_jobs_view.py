"""The view `jobcron_jobs`: jobs as people read them who look with SQL."""

from __future__ import annotations

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from instances import Instance
from jobcron import JobStatus
from jobcron.settings.settings import PACKAGE


def test_the_view_has_each_job_once_with_the_names_of_its_type_and_status(instance: Instance) -> None:
    waiting, failing = instance.act(description="why not"), instance.act(("raise", "value"))
    suspending = instance.act(("raise", "suspend"))
    instance.run("act")
    rows = instance.query("SELECT id, type, status, description FROM jobcron_jobs ORDER BY id")
    assert [row[:2] for row in rows] == [(number, "foo_job.ACT") for number in (waiting, failing, suspending)]
    assert [row[2] for row in rows] == [instance.row(row[0]).status.name for row in rows]
    assert {"COMPLETED", "FAILED", "SUSPENDED"} == {row[2] for row in rows}
    assert rows[0][3] == "why not"


def test_each_status_has_its_name() -> None:
    migration = ScriptDirectory(f"{PACKAGE}/database/schema").get_revision("0008").module
    assert dict(enumerate(migration.STATUSES)) == {status.value: status.name for status in JobStatus}


def test_progress_and_lease_are_those_of_the_renewal_while_the_job_runs(instance: Instance) -> None:
    job = instance.act()
    later = "lease_expires = date_created"
    instance.query(f"UPDATE jobcron_job SET status = 1, lease_token = 5, progress = 1, {later} WHERE id = {job}")
    for token, progress in ((4, 1), (5, 40)):  # the renewal of an earlier claim counts for nothing
        instance.query(
            "INSERT INTO jobcron_renewal (job, lease_token, lease_expires, progress) "
            f"SELECT {job}, {token}, expires, 40 FROM (SELECT max(date_created) AS expires FROM jobcron_job) AS at"
        )
        assert instance.query("SELECT status, progress FROM jobcron_jobs") == [("RUNNING", progress)]
        instance.query("DELETE FROM jobcron_renewal")


def test_the_reason_of_a_suspension_is_on_the_row_until_it_is_over(instance: Instance) -> None:
    job = instance.act(("raise", "suspend"))
    instance.run("act")
    ((because,),) = instance.query("SELECT suspended_because FROM jobcron_jobs")
    assert "wait for me" in because
    instance.command("resume", str(job))
    assert instance.query("SELECT suspended_because FROM jobcron_jobs") == [(None,)]
    instance.command("suspend", str(job), "--reason", "the shop is closed")
    ((because,),) = instance.query("SELECT suspended_because FROM jobcron_jobs")
    assert "the shop is closed" in because


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_may_only_look_may_look_at_the_view(instance: Instance) -> None:
    instance.act()
    with instance.database.begin() as connection:
        connection.exec_driver_sql("SET LOCAL ROLE jobcron_reader")
        assert connection.exec_driver_sql("SELECT status FROM jobcron_jobs").all() == [("WAITING",)]
        with pytest.raises(DBAPIError), connection.begin_nested():
            connection.exec_driver_sql("UPDATE jobcron_job SET priority = 1")
