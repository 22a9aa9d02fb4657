"""What becomes of an attempt: the table of outcomes in the design, each line on both databases."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import fooapp
from fooapp import ActJob, DoFooJob, OwnReadyJob
from instances import Instance
from jobcron import DatabaseUnavailable, JobStatus
from jobcron.queue import claim, loading
from query_cost import noted_statements

WRITE = ("write", "effect")


@pytest.mark.feature("LP-01")
def test_a_job_that_returns_is_completed_and_its_work_is_committed(instance: Instance) -> None:
    job = instance.act(WRITE)
    log = instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.lease_expires) == (JobStatus.COMPLETED, 1, None)
    assert row.date_started is not None
    assert row.date_finished is not None
    assert row.date_created <= row.date_started <= row.date_finished
    assert instance.ledger() == [(job, 1, "effect")]
    assert instance.events(job) == []
    assert "INFO    Ran 1 ActJob jobs.\n" in log


@pytest.mark.feature("LP-19")
def test_an_unhandled_error_undoes_the_work_and_leaves_one_report_and_one_mail(instance: Instance) -> None:
    job = instance.act(WRITE, ("raise", "value"), tell=["boss@example.com"])
    neighbour = instance.act(WRITE)
    log = instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.FAILED, 1)
    assert instance.ledger() == [(neighbour, 1, "effect")]
    assert [path.name for path in instance.oopses()] == [row.oops_id]
    assert row.log is not None
    assert row.log.rstrip().endswith("ValueError: no such foo")
    assert f"INFO    Job resulted in OOPS: {row.oops_id} (ActJob (ID {job}))\n" in log
    assert "INFO    1 ActJob jobs did not complete.\n" in log
    assert instance.events(job) == ["failed"]
    (mail,) = (instance.path / "mail").iterdir()
    assert "boss@example.com" in mail.read_text()
    assert str(row.oops_id) in mail.read_text()


@pytest.mark.feature("LP-20")
def test_a_user_error_fails_without_a_report_and_the_user_is_told(instance: Instance) -> None:
    job = instance.act(WRITE, ("raise", "user"), tell=["user@example.com"])
    instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.oops_id) == (JobStatus.FAILED, 1, None)
    assert instance.ledger() == []
    assert instance.oopses() == []
    (mail,) = (instance.path / "mail").iterdir()
    assert "the foo is not yours" in mail.read_text()


@pytest.mark.feature("LP-21")
def test_a_retry_undoes_the_work_and_n_retries_make_n_plus_one_runs(instance: Instance) -> None:
    job = instance.act(WRITE, ("raise", "retry"), max_retries=2)
    log = instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.FAILED, 3)
    assert log.count(f"Scheduling retry of ActJob (ID {job}) due to NotNow: not now.") == 2
    assert instance.events(job) == ["retry", "retry", "failed"]
    assert instance.ledger() == []
    assert len(instance.oopses()) == 1


@pytest.mark.feature("LP-21")
def test_a_job_to_be_retried_waits_for_its_delay_without_a_report(instance: Instance) -> None:
    job = instance.act(WRITE, ("raise", "retryable"))
    instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.oops_id) == (JobStatus.WAITING, 1, None)
    assert row.date_started is not None
    assert 3500 < (row.scheduled_start - row.date_started).total_seconds() < 3700
    assert (row.lease_expires, row.claimed_by, row.date_finished) == (None, None, None)
    assert "RetryableJobError: in an hour" in str(row.log)
    assert instance.oopses() == []


@pytest.mark.feature("LP-22")
def test_a_job_that_suspends_itself_waits_until_it_is_resumed(instance: Instance) -> None:
    job = instance.act(WRITE, ("raise", "suspend"))
    instance.run("act")
    assert instance.row(job).status is JobStatus.SUSPENDED
    assert instance.ledger() == []
    with instance.session() as session:
        row = session.get_one(type(instance.row(job)), job)
        row.resume()
        row.json_data["do"] = [list(WRITE)]
    instance.run("act")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert instance.events(job) == ["suspended", "resumed"]


@pytest.mark.feature("LP-19")
@pytest.mark.parametrize("error", ["exit", "memory", "unprintable", "interrupted", "keyboard", "lengthy"])
def test_whatever_a_job_raises_is_a_failure_with_a_report(instance: Instance, error: str) -> None:
    job = instance.act(WRITE, ("raise", error))
    neighbour = instance.act(WRITE)
    instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
    assert instance.row(neighbour).status is JobStatus.COMPLETED
    assert len(instance.oopses()) == 1
    assert instance.ledger() == [(neighbour, 1, "effect")]


def test_a_keyboard_interrupt_puts_the_job_back_and_ends_the_run(instance: Instance) -> None:
    instance.act(WRITE)
    job = instance.act(WRITE, ("press_a_key", ""))
    neighbour = instance.act(WRITE)
    with pytest.raises(KeyboardInterrupt):
        instance.run("act")
    assert instance.query("SELECT completed, incomplete, oopses FROM jobcron_run") == [(1, 1, 0)]
    assert (instance.row(job).status, instance.row(job).attempt_count) == (JobStatus.WAITING, 0)
    assert (instance.row(neighbour).status, instance.row(neighbour).attempt_count) == (JobStatus.WAITING, 0)
    assert instance.events(job) == ["interrupted"]
    assert instance.oopses() == []


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize("jobs", [0, 1])
@pytest.mark.parametrize(
    "error", [DatabaseUnavailable("gone"), ValueError("a bug"), SystemExit(7), KeyboardInterrupt("pressed")]
)
def test_what_a_run_did_before_something_ended_it_is_recorded(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, error: BaseException, jobs: int
) -> None:
    with instance.session() as session:
        for _ in range(jobs):
            fooapp.OwnReadyJob.create(instance.foo(session), session=session)
    yields = fooapp.OwnReadyJob.iterReady

    def then_break(*, session: Any = None) -> Any:
        found = list(yields(session=session))
        if not found and isinstance(error, KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)  # noticed when this has returned
        elif not found:
            raise error
        return iter(found)

    monkeypatch.setattr(fooapp.OwnReadyJob, "iterReady", then_break)
    with pytest.raises(type(error)):
        instance.run("own_ready")
    assert len(instance.ledger()) == jobs
    assert instance.query("SELECT completed, incomplete, oopses FROM jobcron_run") == [(1, 0, 0)] * jobs


def test_a_job_that_breaks_its_own_transaction_fails_and_harms_nobody(instance: Instance) -> None:
    job = instance.act(WRITE, ("sql", "SELECT nonsense FROM nowhere"))
    neighbour = instance.act(WRITE)
    instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
    assert instance.ledger() == [(neighbour, 1, "effect")]
    (oops,) = instance.oopses()
    report = json.loads(oops.read_text())
    assert report["req_vars"]["job_id"] == job
    assert any("nonsense" in statement for *_, statement in report["timeline"])


def test_an_expired_job_is_never_started(instance: Instance) -> None:
    job = instance.act(WRITE)
    now = "now()" if instance.database.dialect == "postgresql" else "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    instance.query(f"UPDATE jobcron_job SET expires_at = {now}")
    instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.date_started) == (JobStatus.EXPIRED, 0, None)
    assert instance.ledger() == []
    assert instance.events(job) == ["expired"]


@pytest.mark.parametrize("job_class", [DoFooJob, OwnReadyJob])
def test_any_number_of_expired_jobs_ends_in_one_run_and_in_short_transactions(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, job_class: Any
) -> None:
    monkeypatch.setattr(loading, "EXPIRE_BATCH", 2)
    past = datetime.now(UTC) - timedelta(hours=1)
    with instance.session() as session:
        foos = [instance.foo(session) for _ in range(5)]
        job_class.createMultiple(foos, session=session, expires_at=past)
        ready = job_class.create(instance.foo(session), session=session).job.id
    instance.run("do_foo" if job_class is DoFooJob else "own_ready")
    statuses = [row.status for row in instance.rows()]
    assert statuses == [JobStatus.EXPIRED] * 5 + [JobStatus.COMPLETED]
    assert [row.id for row in instance.rows()][-1] == ready
    if instance.database.dialect == "postgresql":
        by_transaction = instance.query("SELECT count(*) FROM jobcron_event GROUP BY xmin ORDER BY 1")
        assert by_transaction == [(1,), (2,), (2,)]


@pytest.mark.parametrize("job_class", [DoFooJob, OwnReadyJob])
@pytest.mark.parametrize("runner_class", ["JobRunner", "ProcessJobRunner"])
def test_a_run_that_is_told_to_stop_leaves_the_rest_of_many_expired_jobs_to_the_next(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, job_class: Any, runner_class: str
) -> None:
    monkeypatch.setattr(loading, "EXPIRE_BATCH", 1)
    expire = claim.expire

    def stop_and_expire(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return expire(*arguments)

    monkeypatch.setattr(loading, "expire", stop_and_expire)
    past = datetime.now(UTC) - timedelta(hours=1)
    with instance.session() as session:
        foos = [instance.foo(session) for _ in range(5)]
        job_class.createMultiple(foos, session=session, expires_at=past)
    name = "do_foo" if job_class is DoFooJob else "own_ready"
    conf = instance.path / "jobcron.conf"
    conf.write_text(conf.read_text().replace(f"[{name}]\n", f"[{name}]\nrunner_class: {runner_class}\n"))
    instance.run(name)
    statuses = [row.status for row in instance.rows()]
    assert statuses == [JobStatus.EXPIRED] + [JobStatus.WAITING] * 4


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_events_of_many_expired_jobs_are_one_statement(instance: Instance) -> None:
    instance.query("CREATE TABLE written (n integer)")
    instance.query(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
        "'BEGIN INSERT INTO written SELECT count(*) FROM events; RETURN NULL; END'"
    )
    instance.query(
        "CREATE TRIGGER note AFTER INSERT ON jobcron_event REFERENCING NEW TABLE AS events "
        "FOR EACH STATEMENT EXECUTE FUNCTION note()"
    )
    past = datetime.now(UTC) - timedelta(hours=1)
    with instance.session() as session:
        foos = [instance.foo(session) for _ in range(300)]
        DoFooJob.createMultiple(foos, session=session, expires_at=past)
    instance.run("do_foo")
    assert instance.query("SELECT n FROM written") == [(300,)]


def test_a_failure_costs_the_jobs_behind_it_one_query_and_not_one_each(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        jobs = [{"target": foo, "metadata": {"do": [WRITE], "tell": []}} for _ in range(40)]
        for place in (1, 5, 6):
            jobs[place] = {"target": foo, "metadata": {"do": [("raise", "value")], "tell": []}}
        ActJob.createMultiple(jobs, session=session)
    with noted_statements() as noted:
        instance.run("act")
    failed = [n for n, row in enumerate(instance.rows()) if row.status is JobStatus.FAILED]
    assert failed == [1, 5, 6]
    assert len(instance.ledger()) == 37
    assert sum("FROM foo_job JOIN jobcron_job" in text for text, _ in noted) < 20


def test_a_job_that_changes_its_own_status_cannot_commit(instance: Instance) -> None:
    cancel = "UPDATE jobcron_job SET status = 5, date_finished = date_created WHERE status = 1"
    job = instance.act(WRITE, ("sql", cancel), ("commit", ""))
    log = instance.run("act")
    # Its own write is undone with the rest of its work: the row waits for the end of its lease.
    assert instance.ledger() == []
    assert "lost its lease; nothing was committed." in log
    assert instance.oopses() == []
    assert instance.row(job).status is JobStatus.RUNNING


def test_a_suspension_that_cannot_be_printed_is_one_all_the_same(instance: Instance) -> None:
    job = instance.act(("raise", "unprintable suspension"))
    neighbour = instance.act(WRITE)
    instance.run("act")
    assert instance.row(job).status is JobStatus.SUSPENDED
    assert instance.row(neighbour).status is JobStatus.COMPLETED


def test_a_row_that_cannot_be_read_fails_alone_in_the_same_run(instance: Instance) -> None:
    jobs = [instance.act(WRITE) for _ in range(8)]
    broken = jobs[4]
    instance.query(f"UPDATE jobcron_job SET json_data = '[1]' WHERE id = {broken}")
    instance.run("act")
    statuses = {job: instance.query(f"SELECT status FROM jobcron_job WHERE id = {job}")[0][0] for job in jobs}
    assert statuses == {job: 3 if job == broken else 2 for job in jobs}
    assert len(instance.oopses()) == 1


def test_what_a_job_tells_of_itself_cannot_keep_it_from_failing(instance: Instance) -> None:
    with instance.session() as session:
        job = fooapp.TellingJob.create(instance.foo(session)).job.id
    deep = f'{{"deep": {"[" * 400}{"]" * 400}}}'
    instance.query(
        "UPDATE jobcron_job SET json_data = "
        + ("CAST(:deep AS jsonb)" if instance.database.dialect == "postgresql" else ":deep"),
        deep=deep,
    )
    instance.run("telling")
    assert instance.row(job).status is JobStatus.FAILED
    assert len(instance.oopses()) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("retry_delay", 60), ("retry_delay", float("nan")), ("user_error_types", fooapp.UserError)]
)
def test_a_class_may_give_seconds_and_a_single_type(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(fooapp.ActJob, name, value)
    user, retried = instance.act(("raise", "user")), instance.act(("raise", "retry"))
    instance.run("act")
    assert instance.row(user).oops_id is None
    assert instance.events(retried)[0] == "retry"


@pytest.mark.parametrize(("name", "value"), [("retry_error_types", 7), ("retry_delay", "soon")])
def test_a_class_that_makes_no_sense_fails_its_jobs_and_no_run(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(fooapp.ActJob, name, value)
    job, neighbour = instance.act(("raise", "retry")), instance.act(WRITE)
    instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
    assert instance.row(neighbour).status is JobStatus.COMPLETED
    assert len(instance.oopses()) == 1


def test_deadlocks_are_counted_apart_from_stops_and_only_in_a_row(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = instance.act(("raise", "deadlock"))
    for kind, detail in (("interrupted", "the run was stopped"), ("interrupted", "a deadlock"), ("requeued", "")):
        for _ in range(11):
            instance.query(
                "INSERT INTO jobcron_event (job, actor, kind, detail, lease_token) "
                "VALUES (:job, 'test', :kind, :detail, 0)",
                job=job,
                kind=kind,
                detail=detail,
            )
    instance.run("act")
    assert instance.row(job).status is JobStatus.WAITING
    for _ in range(10):
        instance.query("UPDATE jobcron_job SET scheduled_start = date_created")
        instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
