"""Jobs from functions: the connector's `@job` and `delay`, django-future's `schedule_job`, on the same rows."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import functionapp as typed_app
from fooapp import Foo
from instances import FUNCTIONS, Instance
from jobcron import InvalidJobData, Job, JobStatus, UnknownFunction, functions
from jobcron.functions import FunctionJob, FunctionState, identity_exact, job, register

app: Any = typed_app
"""`delay` takes its own keywords as well, which type checkers know of by `options` alone."""

schedule_job: Any = functions.schedule_job
"""It is given what checkers refuse as well."""


def found(instance: Instance, uuid: str) -> Job:
    """Return the row of a job by the uuid that `delay` returned."""
    (row,) = [row for row in instance.rows() if row.uuid == UUID(uuid)]
    return row


def notes(instance: Instance) -> list[str]:
    """Return what the functions have committed."""
    return [text for *_, text in instance.ledger()]


@pytest.mark.feature("OCQ-01", "DJF-07")
def test_a_function_is_called_plainly_or_by_a_job(calling: Instance) -> None:
    with calling.session() as session:
        uuid = app.export.delay("partner", number=7, session=session)
    row = found(calling, uuid)
    assert (row.status, row.description, row.priority) == (JobStatus.WAITING, "Export one thing.", 10)
    assert row.max_retries == 4  # five runs
    _, err = calling.command("run", "functions")
    row = found(calling, uuid)
    assert (row.status, row.result) == (JobStatus.COMPLETED, "exported partner 7")
    assert notes(calling) == ["partner 7"]
    assert "Ran 1 FunctionJob jobs." in err
    assert app.export.__name__ == "export"


@pytest.mark.feature("OCQ-01")
def test_a_job_that_is_rolled_back_never_existed(session: Session) -> None:
    app.export.delay("partner", session=session)
    assert session.scalars(select(Job)).all() != []
    session.rollback()
    assert session.scalars(select(Job)).all() == []


@pytest.mark.feature("OCQ-01")
def test_a_first_parameter_called_session_gets_that_of_the_job(calling: Instance) -> None:
    with calling.session() as session:
        app.with_session.delay(session, "mine")
    calling.command("run", "functions")
    assert notes(calling) == ["mine"]


@pytest.mark.feature("OCQ-02")
def test_options_of_a_job_are_the_callers_then_the_functions(session: Session) -> None:
    for eta, least, most in ((3600, 3590, 3610), (timedelta(days=1), 86390, 86410)):
        app.export.delay("a", eta=eta, priority=0, max_retries=0, description="mine", session=session)
        row = session.scalars(select(Job).order_by(Job.id.desc())).first()
        assert row is not None
        assert (row.priority, row.max_retries, row.description) == (0, None, "mine")
        assert least < (row.scheduled_start - row.date_created).total_seconds() < most
    moment = datetime(2031, 5, 17, 12)
    app.troubled.options(eta=moment, session=session).delay("x")
    row = session.scalars(select(Job).order_by(Job.id.desc())).first()
    assert row is not None
    assert row.scheduled_start == moment.replace(tzinfo=UTC)
    assert (row.priority, row.max_retries, row.description) == (3, 3, "Try")
    app.undocumented.delay(session=session)
    row = session.scalars(select(Job).order_by(Job.id.desc())).first()
    assert row is not None
    assert row.description == "Function undocumented"


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


@pytest.mark.feature("OCQ-09")
def test_an_identity_key_returns_the_job_that_has_not_started(calling: Instance) -> None:
    with calling.session() as session:
        export = app.export.options(identity_key=identity_exact, session=session)
        first, same, other = export.delay("a", 1), export.delay("a", 1), export.delay("a", 2)
        assert first == same != other
    calling.run("functions")
    with calling.session() as session:
        assert app.export.options(identity_key=identity_exact, session=session).delay("a", 1) != first


@pytest.mark.feature("OCQ-09")
def test_sixteen_callers_with_one_identity_key_make_one_job(calling: Instance) -> None:
    def call(number: int) -> str:
        with calling.session() as session:
            return str(app.export.delay("same", identity_key="the one", session=session))

    with ThreadPoolExecutor(16) as pool:
        uuids = set(pool.map(call, range(16)))
    assert len(uuids) == 1
    assert len(calling.rows()) == 1


@pytest.mark.feature("DJF-01", "DJF-02")
@pytest.mark.parametrize(
    ("when", "seconds"),
    [("5d", 432000), ("3h", 10800), ("10m", 600), ("2w", 1209600), ("30s", 30), (timedelta(days=5), 432000)],
)
def test_a_job_is_scheduled_for_later_and_expires_a_week_after_that(
    session: Session, when: Any, seconds: int
) -> None:
    scheduled = schedule_job(when, "functionapp.frozzle", args=[None], kwargs={"by": 2}, session=session).job
    session.refresh(scheduled)
    assert (scheduled.scheduled_start - scheduled.date_created).total_seconds() == pytest.approx(seconds, abs=3)
    assert scheduled.expires_at == scheduled.scheduled_start + timedelta(days=7)


@pytest.mark.feature("DJF-01", "DJF-02")
def test_times_may_be_exact_and_expiries_of_any_kind(session: Session) -> None:
    moment = datetime(2010, 10, 10)
    scheduled = schedule_job(moment, app.frozzle, args=[None], expires="7d", session=session).job
    assert scheduled.scheduled_start == moment.replace(tzinfo=UTC)
    assert scheduled.expires_at == moment.replace(tzinfo=UTC) + timedelta(days=7)
    for expires, wanted in ((None, None), (datetime(2031, 1, 1), datetime(2031, 1, 1, tzinfo=UTC))):
        later = schedule_job("1d", app.frozzle, args=[None], expires=expires, session=session).job
        assert later.expires_at == wanted


@pytest.mark.feature("DJF-02")
def test_a_job_past_its_expiry_is_never_run(calling: Instance) -> None:
    with calling.session() as session:
        schedule_job(datetime(2010, 10, 10), app.again, session=session)
    calling.command("run", "functions")
    assert [row.status for row in calling.rows()] == [JobStatus.EXPIRED]
    assert notes(calling) == []


@pytest.mark.feature("DJF-03", "DJF-07", "OCQ-03")
def test_the_content_object_is_the_first_argument_and_loaded_afresh(calling: Instance) -> None:
    with calling.session() as session:
        foo = calling.foo(session)
        scheduled = schedule_job("0s", app.frozzle, kwargs={"by": 3}, content_object=foo)
        assert (scheduled.model, scheduled.func_string) == (
            "fooapp.Foo",
            "functionapp.frozzle(<fooapp.Foo 1>, by=3)",
        )
    calling.query("UPDATE foo SET frozzled = 10")
    calling.command("run", "functions")
    assert calling.query("SELECT frozzled FROM foo") == [(13,)]
    assert [row.result for row in calling.rows()] == ["13"]


@pytest.mark.feature("DJF-03")
def test_an_object_that_is_gone_is_a_clear_failure(calling: Instance) -> None:
    with calling.session() as session:
        foo = calling.foo(session)
        schedule_job("0s", app.frozzle, content_object=foo)
    calling.query("DELETE FROM foo")
    calling.command("run", "functions")
    (row,) = calling.rows()
    assert row.status is JobStatus.FAILED
    assert "expected Foo 1 to be in the database, it is gone" in str(row.log)
    assert len(calling.oopses()) == 1


@pytest.mark.feature("DJF-04")
def test_a_job_that_gets_itself_can_come_back(calling: Instance) -> None:
    with calling.session() as session:
        first = schedule_job("0s", app.again, kwargs={"n": 6}, expires="2h", session=session)
        first.job.priority = 4
        first.job.requester = "ada"
    calling.command("run", "functions")
    done, copy = calling.rows()
    assert notes(calling) == ["n=6"]
    assert (done.status, copy.status, copy.priority) == (JobStatus.COMPLETED, JobStatus.WAITING, 4)
    assert (copy.scheduled_start - copy.date_created).total_seconds() == pytest.approx(259200, abs=5)
    assert copy.expires_at == copy.scheduled_start + timedelta(hours=2)
    assert (copy.json_data["keywords"], copy.requester) == ({"n": 7}, "ada")
    with calling.session() as session:
        again = FunctionJob.get(copy.uuid, session=session).reschedule("1d", expires=None)
        assert again.job.expires_at is None


@pytest.mark.feature("DJF-05")
def test_without_i_the_first_error_ends_the_run_and_is_shown(calling: Instance) -> None:
    with calling.session() as session:
        app.undocumented.delay(session=session)
        app.troubled.options(priority=10, session=session).delay("value")
        app.undocumented.delay(session=session)
    _, err = calling.command("runscheduledjobs", expect=1)
    assert "ValueError: a mistake" in err
    assert [row.status.name for row in calling.rows()] == ["COMPLETED", "FAILED", "WAITING"]
    assert "ValueError: a mistake" in str(calling.rows()[1].log)
    assert calling.rows()[2].attempt_count == 0
    calling.command("runscheduledjobs")
    assert [row.status.name for row in calling.rows()] == ["COMPLETED", "FAILED", "COMPLETED"]


def test_runscheduledjobs_refuses_a_section_with_another_runner(calling: Instance) -> None:
    calling.configure(sections=f"{FUNCTIONS}runner_class: ProcessJobRunner\n")
    _, err = calling.command("runscheduledjobs", expect=2)
    assert "section [functions], key runner_class: expected JobRunner, the only one" in err
    assert "got: ProcessJobRunner; `jobcron run functions` runs the section as it says" in err


@pytest.mark.feature("DJF-05")
def test_with_i_it_goes_on_and_with_d_what_completed_is_removed(calling: Instance) -> None:
    with calling.session() as session:
        app.troubled.options(priority=1, session=session).delay("value")
        for _ in range(3):
            app.undocumented.delay(session=session)
    calling.command("runscheduledjobs", "-i", "-d")
    assert [row.status.name for row in calling.rows()] == ["FAILED"]
    assert notes(calling) == ["undocumented"] * 3
    _, err = calling.command("runscheduledjobs", "--nonsense", expect=2)
    assert "--nonsense" in err
    calling.command("runscheduledjobs", "--delete_completed", "--ignore_errors")


@pytest.mark.feature("DJF-06")
def test_two_processors_never_run_the_same_job(calling: Instance, tmp_path: Path) -> None:
    """What django-future warns of; the second processor has locks of its own, as on another host."""
    with calling.session() as session:
        for number in range(2):
            app.meet.options(priority=0, session=session).delay(str(tmp_path), number)
        for number in range(100):
            app.export.delay("thing", number, session=session)
    text = (calling.path / "jobcron.conf").read_text()
    other = calling.path / "other"
    other.mkdir()
    (other / "jobcron.conf").write_text(
        text.replace(f"state_dir: {calling.state}", f"state_dir: state\nlock_dir: {tmp_path / 'locks'}")
    )
    command = str(Path(sys.executable).with_name("jobcron"))
    runs = [subprocess.Popen([command, "--config", str(p), "runscheduledjobs"]) for p in (calling.path, other)]
    assert [run.wait(120) for run in runs] == [0, 0]
    met = [note for note in notes(calling) if note.startswith("met")]
    assert sorted(met) == ["met 0", "met 1"]
    assert len({row.claimed_by for row in calling.rows() if row.id <= 2}) == 2  # both ran some
    exported = [note for note in notes(calling) if note not in met]
    assert sorted(exported) == sorted(f"thing {number}" for number in range(100))


@pytest.mark.feature("DJF-06", "OCQ-01")
def test_a_job_of_a_dead_worker_runs_again_and_has_its_effect_once(calling: Instance, tmp_path: Path) -> None:
    with calling.session() as session:
        uuid = app.die_once.delay(str(tmp_path / "died"), session=session)
    calling.command("run", "functions", expect=-9)
    assert found(calling, uuid).status is JobStatus.RUNNING
    calling.end_lease(found(calling, uuid).id)
    calling.command("run", "functions")
    row = found(calling, uuid)
    assert (row.status, row.result, row.crash_count) == (JobStatus.COMPLETED, "alive", 1)
    assert notes(calling) == ["survived"]


def test_a_row_whose_function_nobody_knows_fails_alone_and_imports_nothing(calling: Instance) -> None:
    """One stale row stopped every later run of django-future."""
    with calling.session() as session:
        app.export.delay("a", session=session)
        app.export.delay("b", session=session)
        stale_job = FunctionJob.get(1, session=session)
        stale_job.metadata["function"] = "os.abort"
    calling.command("run", "functions")
    stale, good = calling.rows()
    assert (stale.status, good.status) == (JobStatus.FAILED, JobStatus.COMPLETED)
    assert "expected a registered function os.abort, found none" in str(stale.log)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda s: app.export.delay("a", object(), session=s),
            "expected number of functionapp.export to be of a type that a job's row",
        ),
        (lambda s: app.export.delay("a\0", session=s), "expected model of functionapp.export to be text"),
        (lambda s: app.export.delay(session=s), "missing a required argument: 'model'"),
        (lambda s: app.export.delay("a", colour="red", session=s), "unexpected keyword argument 'colour'"),
        (lambda s: app.export.delay("a", eta="soon", session=s), "expected eta to be a datetime"),
        (lambda s: app.export.delay("a", max_retries=-1, session=s), "expected max_retries"),
        (lambda s: schedule_job("soon", app.again, session=s), "expected a time such as 5d, 3h"),
        (lambda s: schedule_job("5d", app.again, args=[1, 2], session=s), "too many positional arguments"),
        (lambda s: schedule_job("5d", lambda: None, session=s), "can be found by its name"),
        (lambda s: schedule_job("5d", app.again, content_object="text", session=s), "mapped object"),
        (lambda s: app.export.delay("a", priority="high", session=s), "expected priority of FunctionJob"),
        (lambda s: schedule_job("5d", None, session=s), "expected a function, got NoneType: None"),
        (lambda s: schedule_job("5d", partial(app.again), session=s), "expected a function, got partial"),
        (lambda s: schedule_job("5d", print, session=s), "expected a function of a module"),
        (lambda s: schedule_job("5d", app.again, args=None, session=s), "expected args of functionapp.again"),
        (lambda s: schedule_job("5d", app.again, args="ab", session=s), "got str: 'ab'"),
        (lambda s: schedule_job("5d", app.again, kwargs=[1], session=s), "expected kwargs of functionapp.again"),
        (lambda s: schedule_job("5d", app.again, kwargs={1: 2}, session=s), "to be a dict of names"),
        (lambda s: app.export.delay("a", identity_key=lambda job: "x", session=s), "there is no job yet"),
        (
            lambda s: app.export.delay("a", identity_key="", session=s),
            "expected identity_key of functionapp.export",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_delayed(session: Session, make: Any, said: str) -> None:
    with pytest.raises(InvalidJobData) as caught:
        make(session)
    assert said in str(caught.value)
    assert session.scalars(select(Job)).all() == []


def test_a_name_that_is_not_registered_is_refused_when_it_is_scheduled(session: Session) -> None:
    for function in ("functionapp.not_registered", app.not_registered):
        with pytest.raises(
            UnknownFunction, match=r"functionapp\.not_registered, found none: it has to be decorated"
        ):
            schedule_job("5d", function, session=session)


def test_parameters_with_the_names_of_delays_own_are_refused() -> None:
    with pytest.raises(InvalidJobData, match="priority"):

        @job(name="clash")
        def clash(priority: int) -> None:
            """Clash."""

    with pytest.raises(InvalidJobData, match="expected one function with the name functionapp.export, got two"):
        register(app.not_registered, "functionapp.export")


def test_mapped_objects_are_arguments_by_reference(calling: Instance) -> None:
    with calling.session() as session:
        foo = calling.foo(session)
        schedule_job("0s", app.frozzle, args=[foo], session=session)
    assert isinstance(foo, Foo)
    calling.query("UPDATE foo SET frozzled = 5")
    calling.command("run", "functions")
    assert calling.query("SELECT frozzled FROM foo") == [(6,)]
