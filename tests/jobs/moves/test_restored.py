"""A restored database: what may have run does not run again by itself, no number or token is given out twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fooapp import ActJob
from instances import Instance
from jobcron import Job, JobStatus
from jobcron.commands.main import main
from jobcron.jobs.moves import restored
from jobcron.jobs.moves.restored import ID_LEAP, MAX_NUMBER, TOKEN_LEAP, Restored

Restore = Callable[..., list[str]]


@pytest.fixture
def restore(instance: Instance, capsys: pytest.CaptureFixture[str]) -> Restore:
    """Return what performs the command, and returns its lines."""

    def perform(*arguments: str, expect: int = 0) -> list[str]:
        assert main(["--config", str(instance.path), "restored", *arguments]) == expect
        return capsys.readouterr().out.splitlines()

    return perform


def ago(hours: float) -> datetime:
    """Return the time so many hours ago."""
    return datetime.now(UTC) - timedelta(hours=hours)


def change(instance: Instance, job: int, **values: Any) -> None:
    """Change a job's row as no method does."""
    with instance.session() as session:
        row = session.get_one(Job, job)
        for name, value in values.items():
            setattr(row, name, value)


def claimed(instance: Instance, job: int) -> None:
    """Leave a job RUNNING, as in a backup that was taken meanwhile."""
    with instance.session() as session:
        session.get_one(Job, job).start()


def texts(instance: Instance, job: int) -> list[tuple[str, str, str]]:
    """Return who, what and why of a job's history."""
    rows = instance.query("SELECT actor, kind, detail FROM jobcron_event WHERE job = :job ORDER BY id", job=job)
    return [(actor, kind, detail) for actor, kind, detail in rows]


def test_what_may_have_run_is_suspended_and_the_rest_is_not(instance: Instance, restore: Restore) -> None:
    waiting, running, later, done = (instance.act() for _ in range(4))
    claimed(instance, running)
    change(instance, later, scheduled_start=ago(-1))
    with instance.session() as session:
        session.get_one(Job, done).complete()
    before = [instance.row(job).status for job in (waiting, running, later, done)]
    lines = restore("--dry-run")
    assert [instance.row(job).status for job in (waiting, running, later, done)] == before
    assert instance.row(done).lease_token == 0
    assert restore("--yes")[:2] == lines[:2]
    assert lines[0].startswith(f"job {waiting} (foo_job.ACT): WAITING, due 2")
    assert lines[1].startswith(f"job {running} (foo_job.ACT): RUNNING, began 2")
    assert lines[2] == "2 jobs may have run since the backup: nothing was changed"
    assert [instance.row(job).status for job in (waiting, running, later, done)] == [
        JobStatus.SUSPENDED, JobStatus.SUSPENDED, JobStatus.WAITING, JobStatus.COMPLETED,
    ]  # fmt: skip
    ((actor, kind, why),) = texts(instance, waiting)
    assert "@" in actor
    assert (kind, why) == ("suspended", "the database was restored: it may have run since")
    assert "was running, and may have ended since" in texts(instance, running)[0][2]
    assert restore("--yes")[0] == "0 jobs may have run since the backup: suspended"
    instance.run("act")
    assert instance.ledger() == []
    with instance.session() as session:
        session.get_one(Job, waiting).resume()
    instance.run("act")
    assert instance.row(waiting).status is JobStatus.COMPLETED


def test_jobs_of_a_time_after_the_backup_stay(instance: Instance, restore: Restore) -> None:
    old, begun, new, new_run = (instance.act() for _ in range(4))
    for job in (old, begun, new_run):
        change(instance, job, date_created=ago(3))
    for job in (begun, new_run):
        claimed(instance, job)
    change(instance, begun, date_started=ago(2))
    lines = restore("--yes", "--since", ago(1).isoformat())
    assert [instance.row(job).status for job in (old, begun, new, new_run)] == [
        JobStatus.SUSPENDED, JobStatus.SUSPENDED, JobStatus.WAITING, JobStatus.RUNNING,
    ]  # fmt: skip
    assert lines[2] == "2 jobs may have run since the backup: suspended"
    assert f"as of {ago(1):%Y-%m-%d %H:}" in texts(instance, old)[0][2]


def test_no_token_and_no_number_is_given_out_twice(instance: Instance, restore: Restore) -> None:
    known = instance.act()
    instance.run("act")
    token = instance.row(known).lease_token
    before = instance.act()
    lines = restore("--yes")
    assert f"the tokens of 2 jobs were raised by {TOKEN_LEAP}" in lines[-1]
    with instance.session() as session:
        session.get_one(Job, known).queue()
    new = instance.act()
    assert new > before + ID_LEAP
    instance.run("act")
    assert instance.row(known).status is JobStatus.COMPLETED
    assert instance.row(known).lease_token > token + TOKEN_LEAP
    restore("--yes")
    assert instance.act() > new + ID_LEAP


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_number_that_was_written_by_hand_uses_up_no_others(instance: Instance, restore: Restore) -> None:
    job = instance.act()
    instance.multiply(job, 1, id="9223372036854775807", status="4")
    restore("--yes")
    assert job < instance.act() < 2 * ID_LEAP


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_sequences_of_all_tables_are_set_to_their_rows(instance: Instance, restore: Restore) -> None:
    jobs = [instance.act(("raise", "value")) for _ in range(3)]
    instance.run("act")
    waiting = instance.act()
    for table in ("job", "event", "run", "type"):  # as logical replication leaves them
        instance.query(f"SELECT setval(pg_get_serial_sequence('jobcron_{table}', 'id'), 1, false)")
    restore("--yes")
    assert instance.events(waiting) == ["suspended"]
    assert instance.act() > jobs[-1] + ID_LEAP
    instance.run("act")
    ((types,),) = instance.query("SELECT count(*) FROM jobcron_type")
    instance.query("INSERT INTO jobcron_type (name) VALUES ('another')")
    assert instance.query("SELECT count(*) FROM jobcron_type") == [(types + 1,)]


def test_a_runner_of_before_commits_nothing_any_more(
    instance: Instance, restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(self: ActJob) -> None:
        restore("--yes", "--since", ago(1).isoformat())  # the job is none of the backup's
        self.act_write("in vain")

    job = instance.act()
    monkeypatch.setattr(ActJob, "run", act)
    assert "lost its lease" in instance.run("act")
    assert instance.ledger() == []
    assert instance.row(job).status is JobStatus.RUNNING


def test_numbers_at_the_end_of_their_type_stay_and_are_told(
    instance: Instance, restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt, last, other = instance.act(), instance.act(), instance.act()
    change(instance, spoilt, lease_token=MAX_NUMBER)
    change(instance, last, lease_token=MAX_NUMBER - TOKEN_LEAP)
    monkeypatch.setattr(restored, "ID_LEAP", MAX_NUMBER)
    lines = restore("--yes")
    assert lines[-1].startswith("the tokens of 1 job stay: they are too great")
    assert [instance.row(job).lease_token for job in (spoilt, last, other)] == [MAX_NUMBER, MAX_NUMBER, TOKEN_LEAP]
    assert instance.act() == MAX_NUMBER + 1


def test_a_running_job_whose_key_another_one_has_is_suspended_beside_it(
    instance: Instance, restore: Restore
) -> None:
    running = instance.act(unique_key="one")
    claimed(instance, running)
    twin = instance.act(unique_key="one")
    restore("--yes")
    assert [instance.row(job).status for job in (running, twin)] == [JobStatus.SUSPENDED] * 2
    assert instance.events(running) == ["suspended"]
    for job in (twin, running):  # one after the other: somebody decides about each
        with instance.session() as session:
            session.get_one(Job, job).resume()
        instance.run("act")
    assert [instance.row(job).status for job in (running, twin)] == [JobStatus.COMPLETED] * 2


def test_many_jobs_are_taken_a_window_at_a_time(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restored, "WINDOW", 2)
    jobs = [instance.act() for _ in range(5)]
    safe = Restored(instance.database, None, "me@here")
    windows = [safe.suspend(window) for window in safe.suspects()]
    assert [[suspect.id for suspect in window] for window in windows] == [jobs[:2], jobs[2:4], jobs[4:]]
    assert safe.raise_tokens() == (5, 0)
    with instance.session() as session:
        assert set(session.scalars(select(Job.lease_token))) == {TOKEN_LEAP}


def test_a_job_that_is_moved_meanwhile_is_left_alone(instance: Instance) -> None:
    job = instance.act()
    safe = Restored(instance.database, None, "me@here")
    (window,) = list(safe.suspects())
    with instance.session() as session:
        session.get_one(Job, job).cancel()
    assert safe.suspend(window) == []
    assert instance.events(job) == ["cancelled"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--dry-run --yes is required"),
        (["--yes", "--since", "yesterday"], "expected a time such as"),
        (["--yes", "--since", "2999-01-01"], "expected a time in the past"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_order_that_is_not_clear_changes_nothing(
    instance: Instance, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--config", str(instance.path), "restored", *arguments])
    assert left.value.code == 2
    assert said in capsys.readouterr().err
