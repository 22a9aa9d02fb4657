"""The job that calls a function: what it shows, how its errors end, how it comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy.orm import Session

import functionapp as typed_app
from function_jobs import found, notes
from instances import FUNCTIONS, Instance
from jobcron import JobStatus
from jobcron.functions import FunctionJob, FunctionState

app: Any = typed_app
"""`delay` takes its own keywords as well, which type checkers know of by `options` alone."""


@pytest.mark.feature("OCQ-01")
def test_a_first_parameter_called_session_gets_that_of_the_job(calling: Instance) -> None:
    with calling.session() as session:
        app.with_session.delay(session, "mine")
    calling.command("run", "functions")
    assert notes(calling) == ["mine"]


@pytest.mark.feature("OCQ-03")
def test_a_job_shows_what_the_connectors_jobs_showed(calling: Instance) -> None:
    with calling.session() as session:
        app.export.delay("partner", number=7, requester="ada", session=session)
        app.troubled.delay("value", session=session)
        assert FunctionJob.get(1, session=session).state is FunctionState.PENDING
    calling.command("run", "functions")
    with calling.session() as session:
        done, failed = (FunctionJob.get(number, session=session) for number in (1, 2))
        assert str(done.state) == "done"
        assert (done.date_enqueued, done.date_done, failed.date_done) == (None, done.date_finished, None)
        assert (done.max_retries, done.job.max_retries) == (5, 4)
        assert (done.func_name, done.retry, done.user) == ("functionapp.export", 1, "ada")
        assert done.func_string == "functionapp.export('partner', number=7)"
        assert (done.result, done.exc_info) == ("exported partner 7", None)
        assert ":" in str(done.worker)
        assert (done.args, done.kwargs, done.model) == (("partner",), {"number": 7}, None)
        assert done.date_finished is not None
        assert done.date_started is not None
        assert done.date_created <= done.eta <= done.date_started <= done.date_finished
        assert failed.state.value == "failed"
        assert "ValueError: a mistake" in str(failed.exc_info)
        failed.queue()
        assert failed.state.value == "pending"
        failed.cancel()
        assert str(failed.state) == str(FunctionState.CANCELLED)


@pytest.mark.feature("OCQ-04")
def test_errors_decide_what_becomes_of_a_job_as_in_the_connector(calling: Instance) -> None:
    with calling.session() as session:
        kinds = ("failed", "nothing", "value", "retry in 5")
        for kind in kinds:
            app.troubled.delay(kind, session=session)
    calling.command("run", "functions")
    rows = dict(zip(kinds, sorted(calling.rows(), key=lambda row: row.id), strict=True))
    assert (rows["failed"].status, rows["failed"].attempt_count) == (JobStatus.FAILED, 1)
    assert (rows["nothing"].status, rows["nothing"].result) == (JobStatus.COMPLETED, "nothing to export")
    assert rows["value"].status is JobStatus.FAILED
    later = rows["retry in 5"]
    assert later.status is JobStatus.WAITING
    assert later.date_started is not None
    assert (later.scheduled_start - later.date_started).total_seconds() == pytest.approx(5, abs=2)
    assert notes(calling) == ["never"]  # that of the one that found nothing to do
    assert len(calling.oopses()) == 2


@pytest.mark.feature("OCQ-02", "OCQ-04")
def test_a_retry_pattern_says_how_long_each_run_waits(calling: Instance) -> None:
    with calling.session() as session:
        uuid = app.troubled.delay("retry", session=session)
    for seconds in (10, 60, 60):
        calling.run("functions")
        row = found(calling, uuid)
        assert row.date_started is not None
        assert row.status is JobStatus.WAITING
        assert (row.scheduled_start - row.date_started).total_seconds() == pytest.approx(seconds, abs=3)
        calling.query("UPDATE jobcron_job SET scheduled_start = date_created")
    calling.run("functions")
    assert (found(calling, uuid).status, found(calling, uuid).attempt_count) == (JobStatus.FAILED, 4)


@pytest.mark.feature("OCQ-04")
def test_a_retry_that_is_to_be_ignored_uses_up_none(calling: Instance) -> None:
    with calling.session() as session:
        uuid = app.troubled.options(max_retries=1, session=session).delay("ignored")
    calling.run("functions")
    row = found(calling, uuid)
    assert (row.status, row.attempt_count) == (JobStatus.WAITING, 0)
    assert row.date_started is not None
    assert (row.scheduled_start - row.date_started).total_seconds() == pytest.approx(60, abs=3)


@pytest.mark.feature("OCQ-06")
def test_a_related_action_leads_to_what_a_job_is_about(session: Session) -> None:
    app.about_foo.delay(42, session=session)
    (about,) = FunctionJob.iterReady(session=session)
    assert about.related_action() == {"what": "the foo", "number": 42, "session": True}
    app.export.delay("x", session=session)
    assert [found.related_action() for found in FunctionJob.iterReady(session=session)][1] is None


@pytest.mark.feature("OCQ-04")
def test_what_a_job_that_is_done_met_before_is_no_error_of_its_any_more(calling: Instance) -> None:
    with calling.session() as session:
        app.second_time.delay(session=session)
    calling.run("functions")
    calling.make_due()
    calling.run("functions")
    with calling.session() as session:
        done = FunctionJob.get(1, session=session)
        assert (done.retry, done.result, done.exc_info) == (2, "well", None)
        assert "not yet" in str(done.log)


def test_broken_rows_and_work_that_was_not_done_fail_with_a_clear_message(calling: Instance) -> None:
    with calling.session() as session:
        app.sneaky.delay(session=session)
        for data in ({"arguments": "ab"}, {"keywords": [1]}, {"function": ["os.abort"]}, {"function": None}):
            uuid = app.log_in.delay("a", "b", session=session)
            broken = FunctionJob.get(uuid, session=session)
            broken.metadata.update(data)
    calling.command("run", "functions")
    rows = sorted(calling.rows(), key=lambda row: row.id)
    assert {row.status for row in rows} == {JobStatus.FAILED}
    assert calling.ledger() == []
    for row, said in zip(
        rows,
        (
            "IncompleteJobType: expected functionapp.sneaky to do its work when it is called, got coroutine",
            "expected arguments of job 2 to be a list, got str: 'ab'",
            "expected keywords of job 3 to be an object, got list: [1]",
            "expected a registered function ['os.abort'], found none",
            "expected a registered function None, found none",
        ),
        strict=True,
    ):
        assert said in str(row.log)


def test_a_secret_that_was_given_by_position_is_in_no_report(calling: Instance) -> None:
    path = calling.path / "jobcron.conf"
    path.write_text(f"{path.read_text()}wait_for_code: 0s\n")  # the function that is gone has a report as well
    with calling.session() as session:
        app.log_in.delay("ada", "swordfish-7", "more", session=session)
        uuid = app.log_in.delay("ada", "swordfish-7", session=session)
        stale = FunctionJob.get(uuid, session=session)
        stale.metadata["function"] = "functionapp.renamed"
    calling.command("run", "functions")
    reports = [json.loads(path.read_text()) for path in calling.oopses()]
    assert "swordfish" not in json.dumps(reports)
    shown = [report["req_vars"]["arguments"] for report in reports]
    assert {"user": "ada", "password": "***", "more": ["more"]} in shown
    assert any("cannot be shown by name" in str(arguments) for arguments in shown)


@pytest.mark.feature("LP-11")
def test_a_report_says_whether_all_that_an_attempt_did_is_undone(calling: Instance) -> None:
    with calling.session() as session:
        quiet, loud = app.fail_or_die.delay(session=session), app.log_in.delay("a", "b", session=session)
    calling.command("run", "functions")
    effects = {}
    for path in calling.oopses():
        variables = json.loads(path.read_text())["req_vars"]
        effects[variables["job_uuid"]] = variables["effects"]
    assert effects[quiet].startswith("all undone: the job works in its database only")
    assert effects[loud] == (
        f"undone in its database; what it did elsewhere may have happened: its idempotency key is {loud}"
    )
    oops_id = calling.rows()[0].oops_id
    assert "effects" in calling.command("oops", str(oops_id))[0]


def test_the_history_of_a_job_whose_process_died_says_what_may_be_left_of_it(calling: Instance) -> None:
    with calling.session() as session:
        app.fail_or_die.delay(death=True, session=session)
    calling.command("run", "functions", expect=-9)
    calling.end_lease(1)
    calling.command("run", "functions", expect=-9)
    ((detail,),) = calling.query("SELECT detail FROM jobcron_event WHERE kind = 'taken over'")
    assert detail.startswith("its process was gone; all undone: the job works in its database only")


def test_a_result_that_the_database_cannot_hold_is_stored_with_escapes(narrow: Instance) -> None:
    narrow.configure(sections=FUNCTIONS)
    path = narrow.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "functionapp"))
    with narrow.session() as session:
        app.troubled.delay("a result that is hard to store", session=session)
    narrow.run("functions")
    (row,) = narrow.rows()
    assert (row.status, row.result) == (JobStatus.COMPLETED, "10 \\u20ac, \\x00, \\ud800")
