"""Jobs that delete their own rows."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

import fooapp
from faulty_proxy import Cut, FaultyProxy
from fooapp import ActJob, Foo
from instances import Instance
from jobcron import JobStatus
from jobcron.database.database import AmbientDatabase
from jobcron.runner.job_runner import JobRunner
from jobcron.testing.server import PrivatePostgreSQL
from runner_processes import Gate, configure, drain, make, started
from shortleaseapp import LEASE_SECONDS, BriefJob

WRITE = ("write", "effect")
DELETE = ("delete", "both")
PLAIN = "[act]\nsource_interface: fooapp.IActJobSource\n"
ISOLATED = f"{PLAIN}dbuser: foo_runner\nrunner_class: ProcessJobRunner\n"
GONE = "deleted its own row: it is over, and its status and its history are gone."


@pytest.fixture
def deleting(instance: Instance) -> Instance:
    """Return an instance whose jobs may delete their rows."""
    if instance.database.dialect == "postgresql":
        instance.query("GRANT SELECT, UPDATE, DELETE ON jobcron_job, foo_job TO foo_runner")
    return instance


@pytest.mark.parametrize(
    "actions",
    [
        [("delete", "job")],
        [DELETE],
        [DELETE, ("commit", "")],
        [DELETE, ("checkpoint", ""), ("checkpoint", "")],
        [("sql", "DELETE FROM foo_job"), ("sql", "DELETE FROM jobcron_job WHERE status = 1")],
        [DELETE, ("later", "")],
    ],
    ids=lambda actions: " ".join(verb for verb, _ in actions),
)
def test_a_job_that_deletes_its_own_row_has_ended_with_its_work(
    deleting: Instance, actions: list[tuple[str, str]]
) -> None:
    job = deleting.act(WRITE, *actions)
    log = deleting.run("act")
    assert f"WARNING ActJob (ID {job}) {GONE}" in log
    assert "Ran 1 ActJob jobs." in log
    assert deleting.rows() == []
    assert deleting.ledger()[0] == (job, 1, "effect")
    assert deleting.oopses() == [] or actions[-1][0] == "later"


@pytest.mark.parametrize("checkpoint", [False, True], ids=["at once", "after a checkpoint"])
@pytest.mark.parametrize("error", ["value", "retryable", "user"])
def test_a_job_that_deletes_its_own_row_and_fails_is_reported(
    deleting: Instance, error: str, checkpoint: bool
) -> None:
    job = deleting.act(WRITE, DELETE, *[("checkpoint", "")] * checkpoint, ("raise", error))
    log = deleting.run("act")
    assert len(deleting.oopses()) == (error == "value")
    assert (GONE in log) is checkpoint
    assert deleting.ledger() == ([(job, 1, "effect")] if checkpoint else [])
    status = JobStatus.WAITING if error == "retryable" else JobStatus.FAILED
    assert [row.status for row in deleting.rows()] == ([] if checkpoint else [status])


def test_a_failure_hook_that_deletes_the_row_of_its_job_costs_no_report(
    deleting: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete(job: ActJob, error: BaseException) -> None:
        job.act_delete("both")

    monkeypatch.setattr(ActJob, "afterFailure", delete, raising=False)
    job = deleting.act(("raise", "value"))
    log = deleting.run("act")
    assert f"WARNING ActJob (ID {job}) {GONE}" in log
    assert "Job resulted in OOPS: OOPS-T" in log
    assert (len(deleting.oopses()), deleting.rows()) == (1, [])


def test_a_job_that_deletes_its_family_row_is_completed(deleting: Instance) -> None:
    job = deleting.act(WRITE, ("delete", "family"))
    deleting.run("act")
    assert deleting.row(job).status is JobStatus.COMPLETED
    assert deleting.ledger(job) == [(job, 1, "effect")]


def test_a_job_without_its_family_row_is_not_tried_for_ever(deleting: Instance) -> None:
    job = deleting.act(("delete", "family"), ("checkpoint", ""), ("raise", "retry"), max_retries=None)
    deleting.run("act")
    deleting.make_due()
    deleting.run("act")
    assert deleting.row(job).status is JobStatus.FAILED
    assert len(deleting.oopses()) == 1


def test_a_job_whose_row_somebody_else_deletes_commits_nothing(deleting: Instance, gate: Gate) -> None:
    job = deleting.act(gate.touch, gate.wait, WRITE)
    with started(deleting, "act", "-v") as run:
        gate.reached()
        deleting.query("DELETE FROM foo_job")
        deleting.query("DELETE FROM jobcron_job")
        gate.open()
        log = run.end()
    assert f"ActJob (ID {job}) lost its lease; nothing was committed." in log
    assert GONE not in log
    assert deleting.ledger() == []


def test_a_job_that_sets_its_own_status_deletes_nothing(deleting: Instance) -> None:
    job = deleting.act(WRITE, ("sql", "UPDATE jobcron_job SET status = 4, lease_expires = NULL"))
    log = deleting.run("act")
    assert f"ActJob (ID {job}) lost its lease" in log
    assert deleting.ledger() == []


def test_an_isolated_job_that_deletes_its_own_row_has_ended(deleting: Instance) -> None:
    deleting.configure(sections=ISOLATED)
    job, after = deleting.act(WRITE, DELETE), deleting.act(WRITE)
    log = deleting.run("act")
    assert f"ActJob (ID {job}) {GONE}" in log
    assert deleting.ledger() == [(job, 1, "effect"), (after, 1, "effect")]
    assert "Ran 2 ActJob jobs." in log


def test_a_job_that_has_deleted_its_own_row_may_work_longer_than_its_lease(deleting: Instance) -> None:
    configure(deleting)
    last = ("sql", "UPDATE foo SET frozzled = 9")
    job = make(deleting, BriefJob, DELETE, ("checkpoint", ""), ("sleep", 1.5 * LEASE_SECONDS), last)
    assert f"BriefJob (ID {job}) {GONE}" in deleting.run("brief")
    assert deleting.query("SELECT frozzled FROM foo") == [(9,)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_job_that_deletes_its_own_row_has_its_effects_once_if_its_commit_gets_no_answer(
    deleting: Instance, server: PrivatePostgreSQL, gate: Gate, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleting.configure(sections=PLAIN)
    job = deleting.act(WRITE, gate.touch, gate.wait, DELETE)
    with FaultyProxy(server) as proxy:
        monkeypatch.setenv("JOBCRON_DATABASE_URL", proxy.url(str(make_url(deleting.url).database)))
        with started(deleting, "act") as run:
            gate.reached()
            proxy.arm(cut, 2)  # the first is that of a look over another connection
            gate.open()
            log = run.end()
        assert proxy.cuts == 1
    assert (GONE in log) is (cut == "after"), log
    monkeypatch.delenv("JOBCRON_DATABASE_URL")
    drain(deleting, "act")
    assert deleting.rows() == []
    assert [note for number, _, note in deleting.ledger() if number == job] == ["effect"]
    assert deleting.oopses() == []


def test_a_job_in_a_tests_own_transaction_may_delete_its_row(session: Session, foo: Foo) -> None:
    ActJob.create(foo, metadata={"do": [WRITE, DELETE]}, session=session)
    runner = JobRunner(ActJob, AmbientDatabase(session))
    runner.runAll()
    assert runner.completed.total() == 1
    assert [row.note for row in session.query(fooapp.Ledger)] == ["effect"]
