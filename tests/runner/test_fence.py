"""The fence: a runner whose job has become somebody else's commits nothing, whichever way it tries.

The job itself plays the somebody else, over a second connection and by moves that the database allows: that is
the moment when it matters most, and no clock is needed to meet it.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from fooapp import ActJob
from instances import Instance
from jobcron import Database, JobStatus
from runner_processes import configure, make
from shortleaseapp import BusyJob

WRITE = ("write", "effect")

TAKEN_OVER = "UPDATE jobcron_job SET lease_token = lease_token + 1, claimed_by = 'other:1' WHERE id = :id"
CANCELLED = (
    "UPDATE jobcron_job SET status = 5, date_finished = date_created, lease_expires = NULL, "
    "attempt_count = attempt_count - 1 WHERE id = :id"
)
REQUEUED = "UPDATE jobcron_job SET status = 0, lease_expires = NULL, attempt_count = 0 WHERE id = :id"
DONE_BY_HAND = (
    "UPDATE jobcron_job SET status = 2, date_finished = date_created, lease_expires = NULL WHERE id = :id"
)

COMMITS: dict[str, list[tuple[str, Any]]] = {
    "finish": [WRITE],
    "finish_with_nothing_written": [],
    "commit": [WRITE, ("commit", ""), ("raise", "value")],
    "commit_that_swallows_everything": [WRITE, ("stubborn_commit", "")],
    "commit_of_the_connection": [WRITE, ("connection_commit", ""), ("raise", "value")],
    "commits_of_the_connection_that_swallow_everything": [WRITE, ("stubborn_connection_commit", "")],
    "savepoint": [("savepoint", "effect"), ("raise", "value")],
    "checkpoint": [WRITE, ("checkpoint", ""), ("raise", "value")],
}


@pytest.fixture
def fenced(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance with the section "busy", whose jobs know the database."""
    configure(instance)
    monkeypatch.setenv("TEST_DATABASE_URL", instance.url)
    return instance


def state(instance: Instance, job: int) -> tuple[object, ...]:
    """Return what the fence protects of a row."""
    row = instance.row(job)
    return row.status, row.lease_token, row.attempt_count, row.log, row.oops_id, row.progress


def assert_lost(instance: Instance, job: int, log: str) -> None:
    """Assert that nothing of the attempt is there but a warning in the log."""
    assert instance.ledger() == []
    assert instance.events(job) == []
    assert instance.oopses() == []
    assert f"WARNING BusyJob (ID {job}) lost its lease; nothing was committed.\n" in log
    assert "INFO    1 BusyJob jobs did not complete.\n" in log


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("way", COMMITS)
def test_no_way_to_commit_is_open_to_a_job_that_was_taken_over(fenced: Instance, way: str) -> None:
    job = make(fenced, BusyJob, ("sql_elsewhere", TAKEN_OVER), *COMMITS[way])
    log = fenced.run("busy")
    assert_lost(fenced, job, log)
    assert state(fenced, job) == (JobStatus.RUNNING, 2, 1, None, None, None)
    assert fenced.row(job).claimed_by == "other:1"


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize(
    ("move", "status", "attempts"),
    [
        (CANCELLED, JobStatus.CANCELLED, 0),
        (DONE_BY_HAND, JobStatus.COMPLETED, 1),
    ],
    ids=["cancelled", "done"],
)
def test_a_job_that_was_moved_by_hand_cannot_commit(
    fenced: Instance, move: str, status: JobStatus, attempts: int
) -> None:
    job = make(fenced, BusyJob, ("sql_elsewhere", move), WRITE)
    log = fenced.run("busy")
    assert_lost(fenced, job, log)
    assert state(fenced, job) == (status, 1, attempts, None, None, None)


@pytest.mark.feature("LP-23")
def test_a_job_that_was_put_back_by_hand_runs_again_and_only_that_run_counts(fenced: Instance) -> None:
    once = f"{REQUEUED} AND NOT EXISTS (SELECT 1 FROM jobcron_job WHERE id = :id AND lease_token > 1)"
    job = make(fenced, BusyJob, ("try_sql_elsewhere", once), WRITE)
    log = fenced.run("busy")
    assert "lost its lease; nothing was committed.\n" in log
    assert fenced.ledger() == [(job, 1, "effect")]
    assert state(fenced, job)[:3] == (JobStatus.COMPLETED, 2, 1)


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("error", ["value", "user", "retry", "retryable", "suspend", "exit", "memory"])
def test_no_other_end_of_an_attempt_is_written_for_a_job_that_was_taken_over(fenced: Instance, error: str) -> None:
    job = make(fenced, BusyJob, ("progress", 50), ("sql_elsewhere", TAKEN_OVER), WRITE, ("raise", error))
    log = fenced.run("busy")
    assert_lost(fenced, job, log)
    assert state(fenced, job) == (JobStatus.RUNNING, 2, 1, None, None, None)
    assert not (fenced.path / "mail").exists()


@pytest.mark.feature("LP-23")
def test_an_interruption_is_not_written_for_a_job_that_was_taken_over(fenced: Instance) -> None:
    job = make(fenced, BusyJob, ("sql_elsewhere", TAKEN_OVER), WRITE, ("press_a_key", ""))
    with pytest.raises(KeyboardInterrupt):
        fenced.run("busy")
    assert fenced.ledger() == []
    assert fenced.events(job) == []
    assert state(fenced, job) == (JobStatus.RUNNING, 2, 1, None, None, None)


@pytest.mark.feature("LP-23")
def test_what_was_committed_before_the_lease_was_lost_stays_and_what_came_after_does_not(fenced: Instance) -> None:
    before = [("write", "before"), ("checkpoint", "")]
    after = [("sql_elsewhere", TAKEN_OVER), ("write", "after")]
    job = make(fenced, BusyJob, *before, *after)
    log = fenced.run("busy")
    assert "lost its lease" in log
    assert fenced.ledger() == [(job, 1, "before")]


@pytest.mark.feature("LP-23")
def test_the_loss_of_one_job_harms_no_other(fenced: Instance) -> None:
    first = make(fenced, BusyJob, WRITE)
    lost = make(fenced, BusyJob, ("sql_elsewhere", TAKEN_OVER), WRITE)
    rest = [make(fenced, BusyJob, WRITE) for _ in range(3)]
    fenced.run("busy")
    assert [job for job, *_ in fenced.ledger()] == [first, *rest]
    assert fenced.row(lost).status is JobStatus.RUNNING


@pytest.mark.feature("LP-23")
def test_a_job_that_is_still_ours_may_commit_on_its_way(fenced: Instance) -> None:
    ways = [("write", "one"), ("commit", ""), ("savepoint", "two"), ("checkpoint", ""), ("write", "three")]
    job = make(fenced, BusyJob, *ways)
    fenced.run("busy")
    assert fenced.row(job).status is JobStatus.COMPLETED
    assert [note for *_, note in fenced.ledger()] == ["one", "two", "three"]


@pytest.mark.feature("LP-23")
def test_what_a_job_does_after_a_commit_that_was_refused_passes_the_fence(
    fenced: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_failure(self: BusyJob, error: BaseException) -> None:
        fenced.query(TAKEN_OVER, id=job)
        self.act_write("after")

    fenced.query("CREATE TABLE strict (foo integer REFERENCES foo (id) DEFERRABLE INITIALLY DEFERRED)")
    monkeypatch.setattr(BusyJob, "afterFailure", after_failure, raising=False)
    job = make(fenced, BusyJob, ("sql", "INSERT INTO strict VALUES (-1)"))
    log = fenced.run("busy")
    assert_lost(fenced, job, log)


@pytest.mark.feature("LP-23")
def test_a_checkpoint_renews_the_lease(fenced: Instance) -> None:
    nearly_over = {
        "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '+5 seconds')",
        "postgresql": "now() + interval '5 seconds'",
    }[fenced.database.dialect]
    shorten = f"UPDATE jobcron_job SET lease_expires = {nearly_over} WHERE id = :id"
    seconds_left = {
        "sqlite": "(julianday(lease_expires) - julianday('now')) * 86400",
        "postgresql": "extract(epoch FROM lease_expires - clock_timestamp())",
    }[fenced.database.dialect]
    tell = f"UPDATE jobcron_job SET description = CAST({seconds_left} AS text) WHERE id = :id"
    job = make(
        fenced, BusyJob, ("sql_elsewhere", shorten), WRITE, ("checkpoint", ""), ("sql_elsewhere", tell), WRITE
    )
    fenced.run("busy")
    assert fenced.row(job).status is JobStatus.COMPLETED
    assert float(str(fenced.row(job).description)) > 200


def test_a_checkpoint_waits_for_whoever_holds_the_row_and_takes_it_for_no_loss(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()

    def hold(job: int) -> None:
        with instance.database.begin() as connection:
            connection.execute(text("UPDATE jobcron_job SET description = 'held' WHERE id = :id"), {"id": job})
            held.set()
            time.sleep(0.5)

    def run(self: ActJob) -> None:
        holder = threading.Thread(target=hold, args=[self.id])
        holder.start()
        assert held.wait(10)
        self.checkpoint()
        holder.join()

    monkeypatch.setattr(ActJob, "run", run)
    job = instance.act()
    instance.run("act")
    assert instance.row(job).status is JobStatus.COMPLETED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_connection_that_could_not_begin_writes_nothing_without_a_transaction(instance: Instance) -> None:
    """SQLAlchemy goes on in no transaction at all after an error in its begin event."""
    hasty = Database(instance.url, busy_seconds=0)
    with instance.database.begin() as holder, hasty.engine.connect() as plain:
        holder.exec_driver_sql("INSERT INTO ledger (job, attempt, note) VALUES (1, 1, 'first')")
        with pytest.raises(OperationalError, match="database is locked"):
            plain.exec_driver_sql("INSERT INTO ledger (job, attempt, note) VALUES (2, 1, 'busy')")
        holder.commit()
        plain.exec_driver_sql("INSERT INTO ledger (job, attempt, note) VALUES (3, 1, 'rolled back')")
        assert plain.in_transaction()
        plain.rollback()
    hasty.close()
    assert instance.ledger() == [(1, 1, "first")]
