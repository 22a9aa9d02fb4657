"""What follows an attempt that did not succeed, whatever the job says and does then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

import fooapp
from erringapp import LeavingJob
from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus
from jobcron.queue.claim import Claimant, claim
from jobcron.queue.loading import load_claimed
from jobcron.queue.outcome import Failed, Lost, Retry, poisoned
from jobcron.queue.views import SourceView
from jobcron.reports.oops import ErrorUtility
from jobcron.runner._telling import Reporter
from jobcron.runner.attempt import Attempt
from jobcron.runner.failure import FailureHandler, has_clean_up
from jobcron.settings.instance import load_settings
from jobcron.testing import BufferLogger
from query_cost import noted_statements


@pytest.mark.feature("LP-19", "LP-25")
@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize(
    "where",
    [
        "__str__",
        "a variable",
        "getOopsVars",
        "notifyOops",
        "notifyUserError",
        "getErrorRecipients",
        "afterFailure",
        "retry_error_types",
        "time_limit",
    ],
)
def test_what_a_job_says_of_itself_ends_neither_its_failure_nor_the_run(
    erring: Instance, where: str, key: bool
) -> None:
    with erring.session() as session:
        jobs = [LeavingJob.create(where=place, key=key, session=session).id for place in (where, "nowhere")]
    erring.run("leaving")
    assert [erring.row(job).status for job in jobs] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert len(erring.oopses()) == (0 if where == "notifyUserError" else 1)


@pytest.mark.feature("LP-19")
@pytest.mark.parametrize("key", [False, True])
def test_an_action_after_the_commit_that_wants_to_end_the_process_is_logged_and_the_job_is_completed(
    erring: Instance, key: bool
) -> None:
    with erring.session() as session:
        jobs = [LeavingJob.create(where=w, key=key, session=session).id for w in ("after_commit", "nowhere")]
    log = erring.run("leaving")
    assert [erring.row(job).status for job in jobs] == [JobStatus.COMPLETED, JobStatus.COMPLETED]
    assert "An action after the commit failed; the commit stands" in log
    assert "Ran 2 LeavingJob jobs." in log
    assert "lost its lease" not in log


def test_an_error_of_the_commit_itself_fails_the_job_and_harms_nobody(erring: Instance) -> None:
    """A constraint that is only checked by COMMIT."""
    erring.configure()
    erring.query("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    erring.query(
        "CREATE TABLE child (id INTEGER PRIMARY KEY, "
        "parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
    )
    if erring.database.dialect == "postgresql":
        erring.query("GRANT SELECT ON parent TO foo_runner; GRANT INSERT ON child TO foo_runner")
    job = erring.act(("write", "never"), ("sql", "INSERT INTO child (id, parent) VALUES (1, 99)"))
    after = erring.act(("write", "done"))
    erring.run("act")
    assert erring.row(job).status is JobStatus.FAILED
    assert [note for *_, note in erring.ledger()] == ["done"]
    assert erring.row(after).status is JobStatus.COMPLETED
    assert len(erring.oopses()) == 1
    assert "IntegrityError" in str(erring.row(job).log)


WRITE = ("write", "effect")


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


class Talkative(Exception):
    """An error that says something else each time it is asked."""

    said = 0

    def __str__(self) -> str:
        self.said += 1
        return f"version {self.said} of it"


class Scene:
    """A claimed job whose attempt is over, and what handles that."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.number = instance.act()
        with instance.database.begin() as connection:
            type_id = instance.row(self.number).type_id
            (taken,) = claim(connection, type_id, 1, Claimant("a test", 300.0))
        self.session = instance.database.session()
        loaded = load_claimed(SourceView(ActJob), self.session, taken)
        self.session.commit()
        self.attempt = Attempt(loaded, self.session, 300.0)
        self.logger = BufferLogger()
        utility = ErrorUtility()
        utility.configure(settings=load_settings(str(instance.path)))
        self.reporter = Reporter(utility, self.logger)
        self.handler = FailureHandler(instance.database, self.reporter, nullcontext)

    def conclude(self, outcome: Any) -> Any:
        """Do what follows an outcome."""
        return self.handler.conclude(self.attempt, self.handler.ended(outcome))


@pytest.fixture
def scene(instance: Instance) -> Iterator[Scene]:
    """Return the scene."""
    made = Scene(instance)
    yield made
    made.session.close()


def test_the_text_of_an_error_is_made_once(scene: Scene) -> None:
    ended = scene.handler.ended(Retry(Talkative()))
    assert ended.text is not None
    scene.handler.conclude(scene.attempt, ended)
    row, (event,) = scene.instance.row(scene.number), scene.instance.events(scene.number)
    assert ended.text.line in scene.logger.getLogBuffer()
    assert event == "retry"
    assert row.log == ended.text.traceback
    assert scene.instance.query("SELECT detail FROM jobcron_event") == [(f"Talkative: {ended.text.line}",)]


def test_a_failure_is_reported_and_the_row_names_the_report(scene: Scene) -> None:
    assert isinstance(scene.conclude(Failed(ValueError("broken"))), Failed)
    row = scene.instance.row(scene.number)
    assert row.status is JobStatus.FAILED
    assert [row.oops_id] == scene.reporter.oops_ids
    assert len(scene.instance.oopses()) == 1
    assert f"Job resulted in OOPS: {row.oops_id} (ActJob (ID {scene.number}))" in scene.logger.getLogBuffer()


def test_of_a_job_that_is_not_ours_nothing_is_reported_or_written(scene: Scene) -> None:
    with scene.instance.database.begin() as connection:
        connection.exec_driver_sql("UPDATE jobcron_job SET lease_token = lease_token + 1")
    assert isinstance(scene.conclude(Failed(ValueError("broken"))), Lost)
    assert scene.instance.oopses() == []
    assert scene.instance.row(scene.number).status is JobStatus.RUNNING
    assert "lost its lease; nothing was committed." in scene.logger.getLogBuffer()


def test_an_outcome_that_is_written_already_is_told_and_not_written_again(scene: Scene) -> None:
    scene.attempt.outcome_is_written()
    assert isinstance(scene.conclude(Retry(ValueError("broken"))), Retry)
    assert scene.instance.row(scene.number).status is JobStatus.RUNNING
    assert "Scheduling retry of" in scene.logger.getLogBuffer()


def test_only_a_failure_of_a_job_that_ran_has_a_clean_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_clean_up(scene.attempt, Failed(ValueError()))
    monkeypatch.setattr(ActJob, "afterFailure", lambda job, error: None, raising=False)
    assert has_clean_up(scene.attempt, Failed(ValueError()))
    assert not has_clean_up(scene.attempt, Retry(ValueError()))
    assert not has_clean_up(scene.attempt, poisoned(3))


def test_an_error_of_the_clean_up_is_logged_and_undone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def clean_up(job: ActJob, error: BaseException) -> None:
        job.context.foo.name = "cleaned"
        raise SystemExit(1)

    monkeypatch.setattr(ActJob, "afterFailure", clean_up, raising=False)
    scene.handler.clean_up(scene.attempt, Failed(ValueError()))
    assert "it has failed all the same" in scene.logger.getLogBuffer()
    assert scene.instance.query("SELECT name FROM foo") == [("foo",)]
