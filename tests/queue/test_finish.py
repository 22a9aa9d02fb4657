"""The end of an attempt: an outcome meets a job with the same key."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from sqlalchemy import text

from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus
from jobcron.errors import MissingCode
from jobcron.queue.claim import Claimant, claim_one
from jobcron.queue.finish import current_status, set_aside, settled
from jobcron.queue.outcome import Failed, WaitsForCode
from runner_processes import Gate, started

WRITE = ("write", "effect")


@pytest.mark.feature("LP-09")
@pytest.mark.feature("LP-21")
def test_a_retry_that_meets_a_job_with_its_key_is_superseded_by_it(instance: Instance, gate: Gate) -> None:
    actions = [WRITE, ("raise", "retry")]
    with instance.session() as session:
        foo = instance.foo(session)
        metadata = {"do": [gate.touch, gate.wait, *actions]}
        job = ActJob.acquire(foo, metadata=metadata, max_retries=5, session=session).job.id
    with started(instance, "act") as run:
        gate.reached()
        with instance.session() as session:
            # A running job may have read the old state: this makes a new one.
            twin = ActJob.acquire(session.merge(foo), metadata=metadata, max_retries=5, session=session).job.id
        assert twin != job
        gate.open()
        log = run.end()
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.CANCELLED, 1)
    assert row.date_finished is not None
    history = instance.query("SELECT kind, detail FROM jobcron_event WHERE job = :job", job=job)
    assert history == [("superseded", f"superseded by {twin}")]
    assert f"superseded by {twin}" in log
    assert instance.events(twin) == ["retry"]  # it did the same work, and nobody could do it for it
    assert instance.row(twin).status is JobStatus.WAITING
    assert instance.oopses() == []


@pytest.mark.feature("LP-09")
def test_the_history_of_a_superseded_job_says_that_it_was_interrupted(instance: Instance, gate: Gate) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        asked = Gate(gate.folder, "asked")
        actions = [gate.touch, ("wait_for_stop", asked.touch[1]), gate.wait]
        job = ActJob.acquire(foo, metadata={"do": actions}, session=session).job.id
    with started(instance, "act") as run:
        gate.reached()
        with instance.session() as session:
            twin = ActJob.acquire(session.merge(foo), metadata={"do": actions}, session=session).job.id
        run.signal(signal.SIGTERM)
        asked.reached()  # else it may see only one
        run.signal(signal.SIGTERM)
        run.end()
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (
        JobStatus.CANCELLED,
        0,
    )  # and so an attempt that began is not counted
    history = instance.query("SELECT kind, detail FROM jobcron_event WHERE job = :job", job=job)
    assert history == [("superseded", f"interrupted, superseded by {twin}")]
    assert instance.row(twin).status is JobStatus.WAITING


@pytest.mark.feature("LP-19", "LP-20")
def test_an_error_that_the_database_cannot_hold_is_stored_with_escapes(narrow: Instance) -> None:
    failed, mistaken = (narrow.act(("raise", f"hard to store{who}")) for who in ("", " for users"))
    after = narrow.act(WRITE)
    log = narrow.run("act")
    assert [row.status.name for row in narrow.rows()] == ["FAILED", "FAILED", "COMPLETED"]
    assert len(narrow.oopses()) == 1
    assert "refused" not in log  # it was stored at the first try
    for job in (failed, mistaken):
        ((detail, attempt),) = narrow.query(
            "SELECT detail, attempt_count FROM jobcron_event JOIN jobcron_job AS j ON job = j.id WHERE job = :job",
            job=job,
        )
        assert detail.endswith(("ärger: 10 \\u20ac, \\x00, \\ud800", "\\xe4rger: 10 \\u20ac, \\x00, \\ud800"))
        assert attempt == 1
    assert "10 \\u20ac" in str(narrow.row(failed).log)
    assert narrow.ledger() == [(after, 1, "effect")]


def test_the_encoding_of_the_database_counts_where_the_connection_has_another(
    narrow: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "UTF8")
    job = narrow.act(("raise", "hard to store"))
    narrow.run("act")
    assert narrow.row(job).status is JobStatus.FAILED
    assert "rger: 10 " in str(narrow.row(job).log)


REFUSALS = {
    "a log that is not in ASCII": ("jobcron_job", "log", "octet_length({}) = length({})", "GLOB '*[^ -~\n\t]*'"),
    "any log": ("jobcron_job", "log", "{} IS NULL", "IS NOT NULL"),
    "any event": ("jobcron_event", "kind", "{} IS NULL", "IS NOT NULL"),
}


@pytest.mark.parametrize("refused", REFUSALS)
def test_an_outcome_that_the_database_refuses_is_written_with_less(instance: Instance, refused: str) -> None:
    table, column, check, pattern = REFUSALS[refused]
    if instance.database.dialect == "postgresql":
        instance.query(f"ALTER TABLE {table} ADD CHECK ({check.format(column, column)})")
    else:
        for verb in ("INSERT", "UPDATE"):
            instance.query(
                f"CREATE TRIGGER refuse_{verb} BEFORE {verb} ON {table} WHEN new.{column} {pattern} "
                "BEGIN SELECT RAISE(ABORT, 'refused by a trigger'); END"
            )
    failed, after = instance.act(("raise", "hard to store")), instance.act(WRITE)
    log = instance.run("act")
    assert [row.status.name for row in instance.rows()] == ["FAILED", "COMPLETED"]
    assert log.count("WARNING The database refused the text of how ActJob (ID 1) ended") >= 1
    assert instance.events(failed) == ([] if refused == "any event" else ["failed"])
    assert len(instance.oopses()) == 1
    assert f"Job resulted in OOPS: {instance.oopses()[0].name}"[:25] in log
    assert instance.ledger() == [(after, 1, "effect")]


def test_a_job_that_sets_its_own_count_back_can_be_stopped_all_the_same(instance: Instance) -> None:
    sql = "UPDATE jobcron_job SET attempt_count = 0"
    if instance.database.dialect == "postgresql":
        instance.query("GRANT UPDATE ON jobcron_job TO foo_runner")
    job = instance.act(("sql", sql), ("checkpoint", ""), ("raise", "deadlock"))
    instance.run("act")
    assert (instance.row(job).status, instance.row(job).attempt_count) == (JobStatus.WAITING, 0)


@pytest.mark.feature("LP-19")
def test_the_history_says_once_of_each_job_that_it_waits_for_code_however_often_it_is_tried(
    instance: Instance,
) -> None:
    jobs = [instance.act() for _ in range(2)]
    why = WaitsForCode(MissingCode("a function", "this code lacks a function"), delay=0.0)
    for _ in range(2):
        for job in reversed(jobs):  # the last event of all is that of another job
            with instance.database.begin() as connection:
                (claim,) = claim_one(connection, job, Claimant("me", 300.0))
            assert set_aside(instance.database, claim, why) is why
    assert [instance.events(job) for job in jobs] == [["waits for code"]] * 2
    assert [(row.status, row.attempt_count) for row in instance.rows()] == [(JobStatus.WAITING, 0)] * 2


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("ask", [settled, current_status])
def test_what_has_settled_is_the_status_under_our_token_and_nothing_under_another(
    instance: Instance, ask: Any
) -> None:
    job = instance.act()
    with instance.database.begin() as connection:
        (claim,) = claim_one(connection, job, Claimant("me", 300.0))
    assert ask(instance.database, claim) is JobStatus.RUNNING
    assert set_aside(instance.database, claim, Failed(ValueError("broken"))) is not None
    assert ask(instance.database, claim) is JobStatus.FAILED
    assert ask(instance.database, claim._replace(token=claim.token + 1)) is None


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite's only lock goes with its process
def test_what_the_transaction_of_a_dead_process_still_holds_has_not_settled(instance: Instance) -> None:
    job = instance.act()
    with instance.database.begin() as connection:
        (claim,) = claim_one(connection, job, Claimant("me", 300.0))
    with instance.database.begin() as other:
        other.execute(text("UPDATE jobcron_job SET log = 'on its way' WHERE id = :id"), {"id": job})
        assert settled(instance.database, claim) is None  # it may still be committed: the lease decides
        assert current_status(instance.database, claim) is JobStatus.RUNNING
    assert settled(instance.database, claim) is JobStatus.RUNNING


@pytest.mark.parametrize(("end", "status"), [("value", "FAILED"), ("suspend", "SUSPENDED"), ("user", "FAILED")])
def test_a_job_that_does_not_complete_keeps_the_progress_that_it_had(
    instance: Instance, end: str, status: str
) -> None:
    job = instance.act(("progress", 30), ("raise", end))
    instance.run("act")
    assert (instance.row(job).status.name, instance.row(job).progress) == (status, 30)
