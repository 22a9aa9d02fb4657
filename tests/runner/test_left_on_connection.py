"""Jobs of one run share connections, but no state on them, and no trouble of one that rested."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from ended_sessions import end_sessions
from fooapp import ActJob, OwnReadyJob
from instances import Instance
from jobcron import JobStatus, SuspendJobException

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

ASKED = "SELECT current_user::text, current_setting('search_path'), current_setting('TimeZone')"


def run_jobs(
    instance: Instance,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[Any], None],
    job_class: Any = ActJob,
    section: str = "act",
) -> list[Any]:
    """Run two jobs that do this, and return their rows."""
    monkeypatch.setattr(job_class, "run", run)
    with instance.session() as session:
        for _ in range(2):
            job_class.create(instance.foo(session), session=session)
    instance.run(section)
    return instance.rows()


@pytest.fixture
def tenants(instance: Instance) -> Instance:
    """Return an instance with a tenant, who has a table of the name of another, and a role."""
    instance.query(
        "CREATE SCHEMA tenant; CREATE TABLE tenant.ledger (LIKE public.ledger INCLUDING ALL); "
        "DO $$ BEGIN CREATE ROLE tenant; EXCEPTION WHEN duplicate_object THEN NULL; END $$; "
        "GRANT tenant TO foo_runner; GRANT USAGE ON SCHEMA tenant TO foo_runner, tenant; "
        "GRANT ALL ON ALL TABLES IN SCHEMA tenant TO foo_runner, tenant; "
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO foo_runner, tenant"
    )
    return instance


def work_for_tenant(job: Any) -> None:
    """Work in the tenant's place, and leave everything so."""
    job.session.execute(text("SET search_path = tenant; SET TIME ZONE 'Asia/Tokyo'; SET ROLE tenant"))
    job.act_write("the tenant's")


def work_by_its_data(job: Any) -> None:
    """Look into nested data first, as each job that is a function does."""
    job.metadata["done"] = []
    job.session.flush()
    job.metadata["done"].append(1)
    job.session.flush()
    work_for_tenant(job)


def fail(job: Any) -> None:
    """Fail."""
    work_for_tenant(job)
    raise ValueError("as any job may")


def fail_after_checkpoint(job: Any) -> None:
    """Fail when all settings are committed."""
    work_for_tenant(job)
    job.session.execute(text("RESET ROLE"))
    job.checkpoint()
    raise ValueError("as any job may")


def suspend_after_commit(job: Any) -> None:
    """Be suspended when all settings are committed."""
    work_for_tenant(job)
    job.session.execute(text("RESET ROLE"))
    job.session.commit()
    raise SuspendJobException("for now")


@pytest.mark.feature("LP-01")
@on_postgresql
@pytest.mark.parametrize(
    "first", [work_for_tenant, work_by_its_data, fail, fail_after_checkpoint, suspend_after_commit]
)
@pytest.mark.parametrize(("job_class", "section"), [(ActJob, "act"), (OwnReadyJob, "own_ready")])
def test_no_job_works_in_the_place_of_the_one_before(
    tenants: Instance, monkeypatch: pytest.MonkeyPatch, first: Callable[[Any], None], job_class: Any, section: str
) -> None:
    found: list[tuple[str, ...]] = []

    def run(job: Any) -> None:
        found.append(tuple(job.session.execute(text(ASKED)).one()))
        ActJob.act_write(job, "mine")
        if len(found) == 1:
            first(job)

    monkeypatch.setattr(OwnReadyJob, "act_write", ActJob.act_write, raising=False)
    rows = run_jobs(tenants, monkeypatch, run, job_class, section)
    assert found[0] == found[1]
    assert found[0][0] == "foo_runner"
    ended: dict[object, JobStatus] = {
        work_for_tenant: JobStatus.COMPLETED,
        work_by_its_data: JobStatus.COMPLETED,
        suspend_after_commit: JobStatus.SUSPENDED,
    }
    statuses = [row.status for row in rows]
    assert sorted(statuses) == sorted([ended.get(first, JobStatus.FAILED), JobStatus.COMPLETED])
    assert "the tenant's" not in [note for _, _, note in tenants.ledger()]
    assert "mine" not in [note for (note,) in tenants.query("SELECT note FROM tenant.ledger")]


@on_postgresql
def test_neither_the_hook_for_failures_nor_its_successor_gets_what_the_job_left(
    tenants: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[str, ...]] = []

    def look(job: Any) -> None:
        found.append(tuple(job.session.execute(text(ASKED)).one()))

    def run(job: Any) -> None:
        look(job)
        fail_after_checkpoint(job)

    def clean_up(job: Any, error: BaseException) -> None:
        look(job)
        work_for_tenant(job)
        job.session.execute(text("RESET ROLE"))

    monkeypatch.setattr(ActJob, "afterFailure", clean_up, raising=False)
    run_jobs(tenants, monkeypatch, run)
    assert len(found) == 4
    assert len(set(found)) == 1


@on_postgresql
def test_a_job_may_work_in_another_place_over_its_checkpoints(
    tenants: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        job.session.execute(text("SET search_path = tenant, public"))
        job.checkpoint()
        job.act_write("the tenant's")
        job.session.rollback()
        job.act_write("the tenant's, again")

    rows = run_jobs(tenants, monkeypatch, run)
    assert [row.status for row in rows] == [JobStatus.COMPLETED] * 2
    assert tenants.query("SELECT note FROM tenant.ledger") == [("the tenant's, again",)] * 2


@on_sqlite
def test_no_job_on_sqlite_works_under_the_pragmas_of_the_one_before(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def run(job: Any) -> None:
        names = "SELECT count(*) FROM sqlite_temp_master"
        asked = ("PRAGMA recursive_triggers", "PRAGMA query_only", names)
        found.append([job.session.execute(text(statement)).scalar() for statement in asked])
        job.act_write("mine")
        job.act_sql("CREATE TEMP TABLE kept (id)")
        job.act_sql("PRAGMA recursive_triggers = ON")
        job.checkpoint()
        if len(found) == 1:
            job.act_sql("PRAGMA query_only = ON")
            raise ValueError("as any job may")

    rows = run_jobs(instance, monkeypatch, run)
    assert [row.status for row in rows] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert found == [[0, 0, 0]] * 2


def works_outside_first(job: Any) -> None:
    """Write after a long time outside the database."""
    end_sessions(job.url)
    job.act_write("first")


def works_on_after_checkpoint(job: Any) -> None:
    """Write, commit, and write again after a long time."""
    job.act_write("first")
    job.checkpoint()
    end_sessions(job.url)
    job.act_write("second")


def writes_nothing(job: Any) -> None:
    """Work outside only."""
    end_sessions(job.url)


def fails_outside(job: Any) -> None:
    """Fail after a long time outside."""
    end_sessions(job.url)
    raise ValueError("as any job may")


@pytest.mark.feature("LP-22")
@on_postgresql
@pytest.mark.parametrize("do", [works_outside_first, works_on_after_checkpoint, writes_nothing, fails_outside])
def test_a_session_that_ended_between_two_transactions_is_no_trouble_of_the_job(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, do: Callable[[Any], None]
) -> None:
    monkeypatch.setattr(ActJob, "url", instance.url, raising=False)
    rows = run_jobs(instance, monkeypatch, do)
    ended = JobStatus.FAILED if do is fails_outside else JobStatus.COMPLETED
    assert [(row.status, row.attempt_count, row.crash_count) for row in rows] == [(ended, 1, 0)] * 2
    kinds = instance.query("SELECT DISTINCT kind FROM jobcron_event")
    assert kinds == ([("failed",)] if do is fails_outside else [])


@pytest.mark.feature("LP-24")
@on_postgresql
def test_nor_does_a_job_in_a_process_of_its_own_that_serves_several(tenants: Instance) -> None:
    isolated = "runner_class: ProcessJobRunner\nmax_workers: 1\n"
    tenants.configure(sections=f"[act]\nsource_interface: fooapp.IActJobSource\ndbuser: foo_runner\n{isolated}")
    leave = ("sql", "SET search_path = tenant, public")
    process = ("sql", "INSERT INTO public.ledger (job, attempt, note) VALUES (0, 0, pg_backend_pid()::text)")
    tenants.act(leave, process, ("write", "the tenant's"))
    last = tenants.act(process, ("write", "mine"))
    tenants.run("act")
    sessions = {note for job, _, note in tenants.ledger() if job == 0}
    assert len(sessions) == 1
    assert tenants.ledger(last) == [(last, 1, "mine")]
    assert tenants.query("SELECT note FROM tenant.ledger") == [("the tenant's",)]


@pytest.mark.feature("LP-01")
@on_postgresql
@pytest.mark.parametrize("columns", ["* FROM jobcron_job", "1 AS id"])
@pytest.mark.parametrize("succeeds", [True, False])
def test_a_temporary_table_of_a_job_never_stands_in_for_one_of_ours(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, columns: str, succeeds: bool
) -> None:
    def run(job: Any) -> None:
        for name in ("jobcron_job", "jobcron_event"):
            job.session.execute(text(f"CREATE TEMP TABLE {name} AS SELECT {columns}"))
        job.checkpoint()
        ActJob.act_write(job, "once")
        if not succeeds:
            raise ValueError("as any job may")

    rows = run_jobs(instance, monkeypatch, run)
    assert {row.status for row in rows} == {JobStatus.COMPLETED if succeeds else JobStatus.FAILED}
    assert [note for _, _, note in instance.ledger()] == ["once", "once"] * succeeds
    assert all(instance.events(row.id) == ([] if succeeds else ["failed"]) for row in rows)


@pytest.mark.feature("LP-01")
@on_sqlite
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE jobcron_job AS SELECT * FROM jobcron_job",
        'create temporary table if not exists "JOBCRON_JOB" (id, status, lease_token)',
        "CREATE TABLE temp.jobcron_job (id, status, lease_token)",
        "CREATE TEMP VIEW [jobcron_job] AS SELECT * FROM main.jobcron_job",
        "CREATE /* ( */ TEMP TABLE /* jobcron's own */ jobcron_job (id, status, lease_token)",
        "CREATE TEMP TABLE -- of jobs\n jobcron_job (id, status, lease_token)",
        "CREATE TEMP TRIGGER t BEFORE UPDATE ON jobcron_job BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER temp.t BEFORE UPDATE ON main.jobcron_job BEGIN SELECT RAISE(IGNORE); END",
    ],
)
@pytest.mark.parametrize("is_script", [False, True])
def test_sqlite_makes_nothing_temporary_that_would_stand_in_for_a_table_of_ours_or_change_it(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, statement: str, is_script: bool
) -> None:
    def run(job: Any) -> None:
        ActJob.act_write(job, "undone")
        if is_script:
            job.session.connection().connection.driver_connection.cursor().executescript(f"SELECT 1; {statement}")
        job.session.connection().exec_driver_sql(statement)

    rows = run_jobs(instance, monkeypatch, run)
    assert {row.status for row in rows} == {JobStatus.FAILED}
    assert instance.ledger() == []
    expected = r"expected (another name for a|a) temporary (table|trigger).*, got (one on )?jobcron_job"
    assert all(re.search(expected, row.log or "", re.IGNORECASE) for row in rows)


@pytest.mark.feature("LP-01")
@on_sqlite
def test_a_temporary_table_of_another_name_is_the_jobs_own(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        job.session.execute(text("CREATE TEMP TABLE of_jobcron_job AS SELECT * FROM jobcron_job"))
        ActJob.act_write(job, "done")

    rows = run_jobs(instance, monkeypatch, run)
    assert {row.status for row in rows} == {JobStatus.COMPLETED}
