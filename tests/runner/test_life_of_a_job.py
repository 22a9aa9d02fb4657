"""What becomes of an attempt: the table of outcomes in the design, each line on both databases."""

from __future__ import annotations

import json

import pytest

from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus

pytestmark = pytest.mark.both_drivers

WRITE = ("write", "effect")


@pytest.mark.feature("LP-01", "N-01")
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
    for _ in range(2):
        instance.make_due()
        log += instance.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.FAILED, 3)
    assert log.count(f"Scheduling retry of ActJob (ID {job}) due to NotNow: not now.") == 2
    assert instance.events(job) == ["retry", "retry", "failed"]
    assert instance.ledger() == []
    assert len(instance.oopses()) == 1


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


@pytest.mark.feature("LP-21")
def test_a_job_that_began_in_time_does_not_expire_while_it_waits_again(instance: Instance) -> None:
    late, retried = (instance.act(("raise", "retryable"), max_retries=5) for _ in "12")
    instance.run("act")
    assert instance.events(retried) == ["retry"]
    past = "date_created" if instance.database.dialect == "sqlite" else "now() - interval '1 second'"
    instance.query(f"UPDATE jobcron_job SET expires_at = {past}, scheduled_start = date_created")
    instance.query("UPDATE jobcron_job SET begun_token = 0 WHERE id = :id", id=late)
    with instance.database.session(writing=False) as session:
        assert [job.id for job in ActJob.iterReady(session=session)] == [retried]
    instance.run("act")
    assert instance.events(late) == ["retry", "expired"]
    assert instance.events(retried) == ["retry", "retry"]


def test_a_job_that_changes_its_own_status_cannot_commit(instance: Instance) -> None:
    cancel = "UPDATE jobcron_job SET status = 5, date_finished = date_created WHERE status = 1"
    job = instance.act(WRITE, ("sql", cancel), ("commit", ""))
    log = instance.run("act")
    # Its own write is undone with the rest of its work: the row waits for the end of its lease.
    assert instance.ledger() == []
    assert "lost its lease; nothing was committed." in log
    assert instance.oopses() == []
    assert instance.row(job).status is JobStatus.RUNNING
