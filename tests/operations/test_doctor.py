"""The examination of an instance finds each planted fault, and nothing where nothing is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from examining import Usage, found, only
from health_checks import move
from instances import Instance
from jobcron import JobStatus
from jobcron.database.version import REVISION
from jobcron.operations import doctor
from jobcron.queue.health import Health
from jobcron.testing import JobFactory
from paths import ROOT

SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\n"


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
        (silent, "sections", Health.UNKNOWN),
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


def test_the_page_has_each_check() -> None:
    source = "".join(path.read_text() for path in (ROOT / "lib" / "jobcron").rglob("*.py"))
    names = set(re.findall(r'Finding\(\s*"([a-z -]+)", Health', source))
    page = (ROOT / "docs" / "how-to" / "operate.md").read_text()
    told = {name for row in re.findall(r"^\| (`.*?) \|", page, re.M) for name in re.findall(r"`([a-z -]+)`", row)}
    assert len(names) > 20
    assert names - told == set()


def test_the_worst_is_told_first(well: Instance) -> None:
    of_unknown_type(well)
    silent(well)
    assert [finding.check for finding in found(well)] == ["sections", "types"]


def silent_for_half_an_hour(instance: Instance) -> None:
    move(instance, "jobcron_run", "date_started", 0.5)
    move(instance, "jobcron_run", "date_completed", 0.5)


def silent_for_a_day(instance: Instance) -> None:
    move(instance, "jobcron_run", "date_started", 24)
    move(instance, "jobcron_run", "date_completed", 24)


def nobodys_job(instance: Instance) -> None:
    with instance.session() as session:
        JobFactory(session).makeJob(type_name="foo_job.DO_FOO")
    move(instance, "jobcron_job", "scheduled_start", 2)


def paused_queue(instance: Instance) -> None:
    instance.command("pause", "--queue", "night")


def unstorable_schedule(instance: Instance) -> None:
    instance.configure(sections=SECTIONS + "[schedule:typo]\njob: fooapp.Atc\nevery: 1h\n")


def silent_script(instance: Instance) -> None:
    instance.query("UPDATE jobcron_run SET name = 'tidy'")
    silent_for_a_day(instance)
    instance.configure("watch_scripts: tidy 1h", SECTIONS)
    instance.run("act")


@pytest.mark.feature("N-08", "LP-27")
@pytest.mark.parametrize(
    ("plant", "health"),
    [
        (silent, Health.UNKNOWN),
        (silent_for_half_an_hour, Health.WARNING),
        (silent_for_a_day, Health.CRITICAL),
        (silent_script, Health.CRITICAL),
        (failing, Health.WARNING),
        (far_lease, Health.WARNING),
        (nobodys_job, Health.WARNING),
        (paused_queue, Health.WARNING),
        (unstorable_schedule, Health.CRITICAL),
    ],
)
def test_check_runs_judges_the_same_trouble_alike(
    well: Instance, plant: Callable[[Instance], None], health: Health
) -> None:
    plant(well)
    assert {finding.health for finding in found(well)} == {health}
    out, _ = well.command("check-runs", expect=int(health))
    assert out.startswith(f"JOBCRON {health.name} - ")


def test_what_is_unknown_hides_nothing_critical(well: Instance) -> None:
    silent(well)
    unstorable_schedule(well)
    assert [finding.health for finding in found(well)] == [Health.CRITICAL, Health.UNKNOWN]
    out, _ = well.command("check-runs", expect=2)
    assert out.startswith("JOBCRON CRITICAL - all schedules: typo: is not stored")
    assert well.command("doctor", expect=2)[0].startswith("JOBCRON CRITICAL - 2 findings")
