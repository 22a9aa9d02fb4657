"""Two releases at once: what a row names and the code of a run lacks leaves the job waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fooapp
from instances import Instance
from jobcron import JobStatus, MissingCode
from jobcron.functions import FunctionJob
from jobcron.steps import create, job_class
from releases import Releases

ALL = ("functions", "purge", "order")


@pytest.fixture
def releases(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    """Return an instance whose application has two releases."""
    releases = Releases(instance)
    releases.deploy("new")
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    yield releases
    releases.shop("new")


def make_jobs_of_the_new_release(releases: Releases) -> None:
    """Commit jobs that each name something that the old release lacks."""
    shop = releases.shop("new")
    with releases.instance.session() as session:
        shop.sweep.delay(session=session)
        shop.tidy.delay(dry_run=True, session=session)
        shop.Purge.create(dry_run=True, session=session)
        create("order", session=session)


@pytest.mark.feature("LP-01")
def test_what_a_row_names_and_this_code_lacks_waits_for_code_that_has_it(releases: Releases) -> None:
    instance = releases.instance
    make_jobs_of_the_new_release(releases)
    releases.deploy("old")
    log = releases.run(*ALL)
    assert "this code lacks the function shop.sweep." in log
    assert "this code lacks the arguments of shop.tidy (got an unexpected keyword argument 'dry_run')." in log
    assert "this code lacks the argument dry_run of shop.Jobs.PURGE." in log
    assert "this code lacks the task shop.capture of" in log
    rows = instance.rows()
    assert [(row.status, row.attempt_count) for row in rows] == [(JobStatus.WAITING, 0)] * 4
    assert all(row.scheduled_start > row.date_created for row in rows), "a run would find them again at once"
    assert releases.notes() == []
    assert "this code lacks" not in releases.run(*ALL)
    releases.make_due()
    assert "this code lacks" not in releases.run(*ALL), "said twice in an interval"
    assert [instance.events(row.id) for row in rows] == [["waits for code"]] * 4
    assert instance.oopses() == []
    releases.make_due()
    releases.deploy("new")
    releases.run(*ALL)
    assert [row.status for row in instance.rows()] == [JobStatus.COMPLETED] * 4
    assert releases.notes() == ["captured", "purged none of 30 days", "reserved", "swept", "tidied none"]


@pytest.mark.feature("LP-01")
def test_jobs_that_use_nothing_new_are_run_by_either_release(releases: Releases) -> None:
    shop = releases.shop("new")
    with releases.instance.session() as session:
        shop.tidy.delay(session=session)
        shop.Purge.create(days=7, metadata={"free": 1}, session=session)
    releases.deploy("old")
    releases.run("functions", "purge")
    assert releases.notes() == ["purged all of 7 days", "tidied all"]


@pytest.mark.feature("LP-24")
def test_an_isolated_job_waits_for_code_as_well_and_counts_as_no_failure(releases: Releases) -> None:
    make_jobs_of_the_new_release(releases)
    releases.runner_class = "ProcessJobRunner"
    releases.deploy("old")
    _, log = releases.instance.command("run", "purge", "--fail-on-job-failure")
    assert "this code lacks the argument dry_run of shop.Jobs.PURGE." in log
    row = releases.instance.rows()[2]
    assert (row.status, row.attempt_count) == (JobStatus.WAITING, 0)


@pytest.mark.feature("LP-01")
@pytest.mark.parametrize(("limit", "status"), [("3d", JobStatus.FAILED), ("none", JobStatus.WAITING)])
def test_a_job_that_has_waited_too_long_for_code_fails_with_a_report(
    calling: Instance, limit: str, status: JobStatus
) -> None:
    path = calling.path / "jobcron.conf"
    path.write_text(f"{path.read_text()}wait_for_code: {limit}\n")
    with calling.session() as session:
        job = FunctionJob.create(session=session, function="nowhere.gone", arguments=[], keywords={})
        number = job.id
    calling.run("functions")
    assert calling.row(number).status is JobStatus.WAITING
    calling.query("UPDATE jobcron_event SET at = :at", at="2026-01-01 00:00:00+00:00")
    calling.query("UPDATE jobcron_job SET scheduled_start = date_created")
    calling.run("functions")
    assert calling.row(number).status is status
    failed = status is JobStatus.FAILED
    assert calling.events(number) == ["waits for code", "failed"][: 1 + failed]
    assert len(calling.oopses()) == failed


@pytest.mark.feature("LP-02")
def test_a_job_that_an_operator_requeues_waits_anew(calling: Instance) -> None:
    with calling.session() as session:
        job = FunctionJob.create(session=session, function="nowhere.gone", arguments=[], keywords={})
        number = job.id
    calling.run("functions")
    calling.query("UPDATE jobcron_event SET at = :at", at="2026-01-01 00:00:00+00:00")
    with calling.session() as session:
        job = FunctionJob.get(number, session=session)
        job.suspend()
        job.resume()
        job.job.scheduled_start = job.date_created
    calling.run("functions")
    assert calling.row(number).status is JobStatus.WAITING
    assert calling.events(number) == ["waits for code", "suspended", "resumed", "waits for code"]


@pytest.mark.feature("LP-08")
def test_a_row_names_the_arguments_that_it_was_given_or_has_got_since(releases: Releases) -> None:
    shop = releases.shop("new")
    with releases.instance.session() as session:
        job = shop.Purge.create(days=7, session=session)
        assert job.job.needs == "days"
        job.dry_run = True
        assert job.job.needs == "days dry_run"
        many = shop.Purge.createMultiple([{}, {"dry_run": True}], session=session)
        assert [shop.Purge.get(n, session=session).job.needs for n in many] == [None, "dry_run"]
        foo = releases.instance.foo(session)
        family = fooapp.DoFooJob.create(foo, session=session)
        assert family.job.needs is None  # its target needs no name


@pytest.mark.feature("DBQ-02")
def test_an_operator_decides_that_a_job_does_without_a_task_that_is_gone(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.shop("new")
    with releases.instance.session() as session:
        number = create("order", session=session).id
    releases.deploy("old")
    assert "this code lacks the task shop.capture" in releases.run("order")
    monkeypatch.setattr(job_class("order"), "tasks", ["shop.reserve"])
    with releases.instance.session() as session:
        job_class("order").get(number, session=session).next_task = "shop.reserve"
    releases.make_due()
    releases.run("order")
    assert (releases.instance.row(number).status, releases.notes()) == (JobStatus.COMPLETED, ["reserved"])


@pytest.mark.feature("LP-08")
def test_data_that_only_newer_code_can_read_waits_for_it(releases: Releases) -> None:
    shop = releases.shop("new")
    with releases.instance.session() as session:
        number = shop.Purge.create(session=session).id
    notes = '{"days": 7, "$jobcron": {"version": 99}}'
    releases.instance.query("UPDATE jobcron_job SET json_data = :data", data=notes)
    with releases.instance.session() as session:
        job = shop.Purge.get(number, session=session)
        with pytest.raises(MissingCode, match="a newer version has written it"):
            job.check_code()


def make_jobs_whose_data_names_what_is_new(releases: Releases) -> None:
    """Commit jobs whose target or arguments are of classes, or items of enums, that the old release lacks."""
    shop = releases.shop("new")
    with releases.instance.session() as session:
        session.add(brick := fooapp.Ledger(job=0, attempt=0, note="a wall"))
        session.flush()
        wall = session.get_one(shop.Wall, brick.id)
        shop.Paint.create(wall, session=session)
        shop.Paint.create(colour=shop.Colour.GREEN, session=session)
        shop.Paint.create(extras=[[wall]], session=session)
        shop.Paint.create(extras=[{"coats": shop.Coats.FIRST | shop.Coats.SECOND}], session=session)
        shop.mix.delay(shop.Colour.GREEN, session=session)


@pytest.mark.feature("LP-01")
def test_a_class_or_an_item_that_data_names_and_this_code_lacks_is_waited_for(releases: Releases) -> None:
    instance = releases.instance
    make_jobs_whose_data_names_what_is_new(releases)
    shop = releases.shop("old")
    with instance.session() as session:
        shop.Paint.create(colour=shop.Colour.RED, session=session)
    releases.deploy("old")
    log = releases.run("paint", "functions")
    assert "this code lacks the class shop.Wall." in log
    assert "this code lacks the item GREEN of shop.Colour." in log
    assert "this code lacks the item 3 of shop.Coats." in log
    *new, old = sorted(instance.rows(), key=lambda row: "RED" in str(row.json_data))
    assert [(row.status, row.attempt_count) for row in new] == [(JobStatus.WAITING, 0)] * 5
    assert old.status is JobStatus.COMPLETED, "it names nothing new"
    releases.make_due()
    assert "this code lacks" not in releases.run("paint", "functions"), "said twice in an interval"
    assert [instance.events(row.id) for row in new] == [["waits for code"]] * 5
    assert instance.oopses() == []
    said, _ = instance.command("why", str(new[0].id), expect=1)
    assert "it waits for code that has what its row names: MissingClass: expected the class shop.Wall" in said
    releases.make_due()
    releases.deploy("new")
    releases.run("paint", "functions")
    assert [row.status for row in instance.rows()] == [JobStatus.COMPLETED] * 6


@pytest.mark.feature("LP-01")
def test_a_job_that_waits_too_long_for_a_class_fails_with_a_report(releases: Releases) -> None:
    instance = releases.instance
    make_jobs_whose_data_names_what_is_new(releases)
    releases.deploy("old")
    releases.run("paint", "functions")
    instance.query("UPDATE jobcron_event SET at = :at", at="2026-01-01 00:00:00+00:00")
    releases.make_due()
    releases.run("paint", "functions")
    assert [row.status for row in instance.rows()] == [JobStatus.FAILED] * 5
    assert len(instance.oopses()) == 5
    assert "expected the class shop.Wall to be imported by the application, it is not" in str(
        instance.rows()[0].log
    )


@pytest.mark.feature("LP-01")
def test_a_job_with_a_target_waits_where_its_class_has_none(releases: Releases) -> None:
    instance = releases.instance
    make_jobs_whose_data_names_what_is_new(releases)
    old = (instance.path / "new" / "shop.py").read_text().replace("    target: object | None\n", "")
    (instance.path / "new" / "shop.py").write_text(old)
    assert "this code lacks the target of shop.Jobs.PAINT." in releases.run("paint")
    assert instance.rows()[0].status is JobStatus.WAITING
