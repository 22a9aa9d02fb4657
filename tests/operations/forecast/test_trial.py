"""A job that is tried runs under its claim, what it changes is shown, and nothing of it stays."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text, update

import fooapp
from instances import SECTIONS, Instance
from jobcron import ConfigurationError, Job, JobStatus, NoSuchJob, after_commit, load_settings
from jobcron.operations.forecast.trial import Trial, try_job
from jobcron.queue.claim import Claimant, claim_one
from jobcron.reports.mail import new_mail, send
from jobcron.reports.oops import globalErrorUtility
from jobcron.runner.application import Application

FUTURE = datetime.now(UTC) + timedelta(hours=1)

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def application() -> None:
    """Register the job classes."""
    fooapp.register()


def attempt(instance: Instance, number: int, **options: Any) -> Trial:
    """Try a job."""
    options.setdefault("accepts_effects", True)
    return try_job(load_settings(str(instance.path)), Application(), number, **options)


def everything(instance: Instance) -> list[Any]:
    """Return all that is in the database, but for the history of jobs."""
    tables = ("jobcron_job", "jobcron_renewal", "jobcron_mail", "jobcron_run", "foo", "foo_job", "ledger")
    return [instance.query(f"SELECT * FROM {table} ORDER BY 1") for table in tables]


def acting(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    """Let the jobs of the section act do this."""
    monkeypatch.setattr(fooapp.ActJob, "run", run)


@pytest.mark.feature("N-07")
def test_what_a_job_changes_is_shown_row_by_row_and_rolled_back(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        job.context.foo.frozzled += 1
        job.context.foo.name = "first"
        job.session.flush()
        job.context.foo.name = "second"
        gone = fooapp.Ledger(job=8, attempt=1)
        job.session.add(gone)
        job.session.flush()
        job.session.delete(gone)
        job.session.add(fooapp.Ledger(job=7, attempt=1, note="here"))
        job.session.execute(update(fooapp.Foo).values(frozzled=9))
        job.session.execute(text("UPDATE foo SET frozzled = 10"))

    instance.configure(sections=SECTIONS.replace("dbuser: foo_runner\n", ""))  # that role may not delete
    number = instance.act()
    acting(monkeypatch, run)
    before = everything(instance)
    trial = attempt(instance, number, actor="web:ada")
    assert everything(instance) == before
    assert (trial.outcome, trial.status, trial.section, trial.error) == (
        "completed",
        JobStatus.COMPLETED,
        "act",
        None,
    )
    assert [(row.verb, row.table) for row in trial.rows] == [("update", "foo"), ("insert", "ledger")]
    assert sorted((one.column, one.old, one.new) for one in trial.rows[0].columns) == [
        ("frozzled", "0", "1"), ("name", "'foo'", "'second'"),
    ]  # fmt: skip
    assert {one.column: one.new for one in trial.rows[1].columns}["note"] == "'here'"
    assert [(one.verb, one.table, one.text, one.statements, one.rows) for one in trial.statements] == [
        ("update", "foo", None, 1, 1), ("update", None, "UPDATE foo SET frozzled = 10", 1, 1),
    ]  # fmt: skip
    assert instance.query("SELECT kind, actor, detail FROM jobcron_event") == [
        ("tried", "web:ada", "completed; rolled back")
    ]
    instance.run("act")  # and it can still run
    assert instance.row(number).status is JobStatus.COMPLETED


@pytest.mark.parametrize("verb", ["checkpoint", "commit"])
def test_what_a_job_commits_on_the_way_is_rolled_back_too(instance: Instance, verb: str) -> None:
    number = instance.act(("write", "a"), (verb, ""), ("write", "b"), (verb, ""))
    before = everything(instance)
    trial = attempt(instance, number)
    assert everything(instance) == before
    assert (trial.outcome, len(trial.rows), trial.statements) == ("completed", 2, ())


def test_a_failure_is_shown_with_its_traceback_and_reported_nowhere(instance: Instance) -> None:
    number = instance.act(("write", "a"), ("raise", "value"), tell=["ada@example.com"])
    before = everything(instance)
    trial = attempt(instance, number)
    assert everything(instance) == before
    assert (trial.outcome, trial.status) == ("failed", JobStatus.FAILED)
    assert "Traceback (most recent call last)" in str(trial.error)
    assert "ValueError: no such foo" in str(trial.error)
    assert [row.table for row in trial.rows] == ["ledger"]
    assert instance.oopses() == []
    assert not (instance.path / "mail").exists()


def test_mail_reports_and_actions_of_the_job_itself_are_held_back(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Any) -> None:
        send(["bob@example.com"], new_mail("Hello", "you"))
        after_commit(job.session, lambda: instance.path.joinpath("acted").touch())
        job.session.commit()
        after_commit(job.session, lambda: instance.path.joinpath("acted").touch())
        try:
            raise KeyError("reported by the job")
        except KeyError:
            globalErrorUtility.raising()

    number = instance.act()
    acting(monkeypatch, run)
    trial = attempt(instance, number)
    assert (trial.outcome, trial.mails, trial.actions) == ("completed", ("bob@example.com: Hello",), 2)
    assert not (instance.path / "acted").exists()
    assert not (instance.path / "mail").exists()
    assert instance.oopses() == []


@pytest.mark.parametrize(
    "plant",
    [
        {"scheduled_start": FUTURE},
        {"lease_expires": FUTURE},
    ],
)
def test_a_job_that_is_not_due_or_leased_by_hand_is_tried_and_stays_so(
    instance: Instance, plant: dict[str, datetime]
) -> None:
    number = instance.act(("write", "a"))
    with instance.session() as session:
        for name, value in plant.items():
            setattr(session.get_one(Job, number), name, value)
    before = everything(instance)
    assert attempt(instance, number).outcome == "completed"
    assert everything(instance) == before


@pytest.mark.parametrize("move", ["suspend", "cancel", "fail"])
def test_a_job_that_has_ended_is_tried_as_if_it_were_retried_and_stays_so(instance: Instance, move: str) -> None:
    number = instance.act(("write", "a"))
    with instance.session() as session:
        job = session.get_one(Job, number)
        if move == "fail":
            job.start()
        getattr(job, move)()
    before = everything(instance)
    assert attempt(instance, number).outcome == "completed"
    assert everything(instance) == before


def test_a_job_that_is_running_is_not_tried(instance: Instance) -> None:
    number = instance.act()
    with instance.session() as session:
        assert claim_one(session.connection(), number, Claimant("host:1", 60.0))
    with pytest.raises(ConfigurationError, match=r"cannot be tried: it is running, held by host:1"):
        attempt(instance, number)
    with pytest.raises(NoSuchJob):
        attempt(instance, 99)


def test_a_job_of_no_section_and_one_that_expired_are_not_tried(instance: Instance) -> None:
    number = instance.act(expires_at=datetime.now(UTC) + timedelta(days=1))
    instance.query("UPDATE jobcron_job SET expires_at = '2020-01-01 00:00:00.000000'")
    with pytest.raises(ConfigurationError, match=f"a claim does not take it: jobcron why {number}"):
        attempt(instance, number)
    sections = SECTIONS.replace("[act]\nsource_interface: fooapp.IActJobSource\ndbuser: foo_runner\n", "")
    instance.configure(sections=sections)
    with pytest.raises(ConfigurationError, match=r"cannot be tried: no section of .* runs jobs of the type"):
        attempt(instance, number)


def test_effects_elsewhere_have_to_be_accepted_unless_the_class_has_none(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = instance.act(("write", "a"))
    before = everything(instance)
    with pytest.raises(ConfigurationError, match=r"Expected --yes, or database_only = True in ActJob"):
        attempt(instance, number, accepts_effects=False)
    assert everything(instance) == before
    assert instance.events(number) == []
    monkeypatch.setattr(fooapp.ActJob, "database_only", True)
    assert attempt(instance, number, accepts_effects=False).outcome == "completed"


@pytest.mark.parametrize("way", ["connection", "transaction", "rollback", "sql", "comment", "elsewhere"])
def test_a_commit_that_could_not_be_undone_is_refused_in_the_job(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")

    def run(job: Any) -> None:
        job.act_write("a")
        if way == "connection":
            job.session.connection().commit()
        elif way == "transaction":
            job.session.connection().get_transaction().commit()
        elif way == "rollback":
            job.session.connection().rollback()
        elif way == "sql":
            job.session.connection().exec_driver_sql("COMMIT")
        elif way == "comment":
            job.session.execute(text("/* now */ commit"))
        else:
            with other.begin() as connection:
                connection.execute(text("CREATE TABLE t (a int)"))

    number = instance.act()
    acting(monkeypatch, run)
    before = everything(instance)
    trial = attempt(instance, number)
    assert everything(instance) == before
    assert trial.outcome != "completed"
    assert "a job that is tried may " in str(trial.error)
    assert trial.leak is None
    other.dispose()


def test_a_commit_of_the_driver_itself_is_told_aloud(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    number = instance.act()
    acting(monkeypatch, lambda job: job.session.connection().connection.driver_connection.commit())
    trial = attempt(instance, number)
    assert "the job ended the transaction itself" in str(trial.leak)
    ((told,),) = instance.query("SELECT detail FROM jobcron_event WHERE kind = 'tried'")
    assert "rolled back, but the job ended the transaction itself" in told


@on_postgresql
def test_a_constraint_that_the_commit_would_check_is_checked(instance: Instance) -> None:
    instance.query("ALTER TABLE ledger ADD CONSTRAINT once UNIQUE (note) DEFERRABLE INITIALLY DEFERRED")
    number = instance.act(("write", "a"), ("write", "a"))
    trial = attempt(instance, number)
    assert (trial.outcome, trial.status) == ("refused at its commit", JobStatus.FAILED)
    assert "once" in str(trial.error)


@on_postgresql
def test_no_run_takes_the_job_meanwhile_and_no_run_waits(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "here"
    number = instance.act(("touch", str(path)), ("wait_for", str(tmp_path / "on")))
    other = instance.act()
    thread = threading.Thread(target=attempt, args=(instance, number))
    thread.start()
    while not path.exists():
        time.sleep(0.02)
    instance.command("run", "act")
    assert [instance.row(one).status for one in (number, other)] == [JobStatus.WAITING, JobStatus.COMPLETED]
    (tmp_path / "on").touch()
    thread.join()
    assert instance.events(number) == ["tried"]


def test_a_job_with_transactions_of_zope_is_not_tried(instance: Instance) -> None:
    number = instance.act()
    instance.configure("transactions: zope")
    with pytest.raises(ConfigurationError, match="expected jobs that commit by their session alone, got zope"):
        attempt(instance, number)


@pytest.mark.parametrize("section", ["own_ready", "handmade"])
def test_jobs_of_sources_that_decide_by_themselves_can_be_tried(instance: Instance, section: str) -> None:
    from jobcron.testing import use_session

    source: Any = {"own_ready": fooapp.OwnReadyJob, "handmade": fooapp.handmade_source}[section]
    with instance.session() as session, use_session(session):
        source.create(instance.foo(session))
    instance.run(section)
    (number,) = (row.id for row in instance.rows())
    before = everything(instance)
    assert attempt(instance, number).outcome == "completed"
    assert everything(instance) == before
