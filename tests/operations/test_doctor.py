"""The examination of an instance finds each planted fault, and nothing where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from examining import Usage, found, only
from instances import Instance
from jobcron import JobStatus
from jobcron.database.version import REVISION
from jobcron.operations import doctor
from jobcron.queue.health import Health
from jobcron.testing import JobFactory


@pytest.mark.feature("N-08")
def test_nothing_is_found_where_nothing_is_wrong(well: Instance) -> None:
    assert found(well) == []


def of_unknown_type(instance: Instance) -> None:
    with instance.session() as session:
        JobFactory(session).makeJob(type_name="gone.FOR_GOOD")


def far_lease(instance: Instance) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(JobStatus.RUNNING, type_name="foo_job.ACT")
        job.lease_expires = job.date_created + timedelta(days=7.5)


def future_job(instance: Instance) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(JobStatus.COMPLETED, type_name="foo_job.ACT")
        job.date_created = job.date_created.replace(year=2099)


def silent(instance: Instance) -> None:
    instance.query("DELETE FROM jobcron_run WHERE name = 'act'")


def failing(instance: Instance) -> None:
    for _ in range(10):
        instance.act(("raise", "value"))
    instance.run("act")


def never_pruned(instance: Instance) -> None:
    with instance.session() as session:
        JobFactory(session).makeJob().cancel()
    instance.query("UPDATE jobcron_event SET at = '2020-01-01 00:00:00.000000'")


def old_report(instance: Instance) -> None:
    for day in ("2020-01-01", f"{datetime.now(UTC):%Y-%m-%d}"):
        folder = instance.state / "oops" / day
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "OOPS-T1").write_bytes(b"")


@pytest.mark.feature("N-08")
@pytest.mark.parametrize(
    ("plant", "check", "health"),
    [
        (of_unknown_type, "types", Health.WARNING),
        (far_lease, "sections", Health.WARNING),
        (future_job, "clock", Health.WARNING),
        (silent, "sections", Health.CRITICAL),
        (failing, "sections", Health.WARNING),
        (never_pruned, "pruning", Health.WARNING),
        (old_report, "reports", Health.WARNING),
    ],
)
def test_a_planted_fault_is_found(
    well: Instance, plant: Callable[[Instance], None], check: str, health: Health
) -> None:
    plant(well)
    finding = only(well)
    assert (finding.check, finding.health) == (check, health)
    assert finding.remedy


@pytest.mark.parametrize(("free", "health"), [(1 << 29, Health.WARNING), (1 << 26, Health.CRITICAL)])
def test_full_disks_are_found(well: Instance, monkeypatch: pytest.MonkeyPatch, free: int, health: Health) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(1 << 40, 0, free))
    assert {(finding.check, finding.health) for finding in found(well)} == {("disks", health)}


def test_tables_that_are_newer_than_the_code_are_named(well: Instance) -> None:
    well.query("UPDATE jobcron_schema_version SET version_num = '9999'")
    finding = only(well)
    assert (finding.check, finding.health) == ("schema", Health.WARNING)
    assert finding.text == f"the tables are of version 9999, and this host's code is made for {REVISION}"


def test_a_wrong_clock_of_this_machine_is_found(well: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CLOCK_SLACK", -doctor.CLOCK_SLACK)
    assert only(well).check == "clock"


def test_the_worst_is_told_first(well: Instance) -> None:
    of_unknown_type(well)
    silent(well)
    assert [finding.check for finding in found(well)] == ["sections", "types"]
