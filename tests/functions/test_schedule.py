"""`schedule_job` and ``runscheduledjobs``: functions at a time, as django-future has them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

import functionapp as typed_app
from function_jobs import found, notes
from instances import FUNCTIONS, Instance
from jobcron import JobStatus, functions
from jobcron.functions import FunctionJob
from jobcron.operations.acts import (
    Act,
    act_on_selection,
    cancel,
    postpone,
    postpone_until,
    resume,
    retry,
    run_now,
    suspend,
)
from jobcron.operations.selection import Selection
from jobcron.operations.undo import undo_act
from jobcron.queue.claim import Claimant, claim_one
from jobcron.queue.finish import set_aside
from jobcron.queue.outcome import Retry

app: Any = typed_app
"""`delay` takes its own keywords as well, which type checkers know of by `options` alone."""


schedule_job: Any = functions.schedule_job
"""It is given what checkers refuse as well."""


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
    assert "expected Foo 1 to be in the database, there is none" in str(row.log)
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
def test_a_retry_does_not_change_the_expiry_that_is_copied(calling: Instance) -> None:
    with calling.session() as session:
        job = schedule_job(datetime.now(UTC), "functionapp.again", expires="2h", session=session).id
    with calling.database.begin() as connection:
        (claim,) = claim_one(connection, job, Claimant("a run", 300.0))
    assert set_aside(calling.database, claim, Retry(delay=3000.0)) is not None
    with calling.session() as session:
        copy = FunctionJob.get(job, session=session).reschedule("1d")
        assert copy.job.expires_at == copy.job.scheduled_start + timedelta(hours=2)


ACTS: dict[str, Callable[[], Act]] = {
    "postpone": lambda: postpone(timedelta(minutes=55)),
    "postpone until": lambda: postpone_until(datetime.now(UTC) + timedelta(minutes=55)),
    "run-now": run_now,
    "run-now, spread": lambda: run_now(timedelta(hours=20)),
}


@pytest.mark.feature("DJF-05")
@pytest.mark.parametrize("name", ACTS)
def test_an_operator_who_moves_the_start_does_not_change_the_expiry_that_is_copied(
    calling: Instance, name: str
) -> None:
    with calling.session() as session:
        job = schedule_job("20m", "functionapp.again", expires="1h", session=session).id
    asked = calling.row(job).scheduled_start
    numbers = []
    for _ in range(2):  # what was asked for stays, however often it is moved
        (done,) = act_on_selection(calling.database, ACTS[name](), Selection(ids=(job,)))
        assert done.act is not None
        numbers.append(done.act)
        assert calling.row(job).scheduled_start != asked
    with calling.session() as session:
        copy = FunctionJob.get(job, session=session).reschedule("1d").job
        assert copy.expires_at == copy.scheduled_start + timedelta(hours=1)
    for number in reversed(numbers):
        assert [len(undone.moved) for undone in undo_act(calling.database, number)] == [1]
    row = calling.row(job)
    assert (row.scheduled_start, row.asked_start) == (asked, None)


AGAIN: dict[str, tuple[Callable[[], Act], Callable[[timedelta], Act]]] = {
    "retry": (cancel, retry),
    "resume": (suspend, resume),
}


@pytest.mark.feature("DJF-05")
@pytest.mark.parametrize("name", AGAIN)
def test_a_job_that_waits_again_at_another_time_keeps_the_start_that_was_asked_for_and_no_expiry(
    calling: Instance, name: str
) -> None:
    stop, again = AGAIN[name]
    with calling.session() as session:
        job = schedule_job("20m", "functionapp.again", expires="1h", session=session).id
    asked = calling.row(job).scheduled_start
    numbers = []
    for _ in range(2):
        (stopped,) = act_on_selection(calling.database, stop(), Selection(ids=(job,)))
        assert stopped.moved == (job,)
        (done,) = act_on_selection(calling.database, again(timedelta(hours=20)), Selection(ids=(job,)))
        assert done.act is not None
        numbers.append(done.act)
        row = calling.row(job)
        assert (row.scheduled_start != asked, row.asked_start, row.expires_at) == (True, asked, None)
    with calling.session() as session:
        assert FunctionJob.get(job, session=session).reschedule("1d").job.expires_at is None
    assert [len(undone.moved) for undone in undo_act(calling.database, numbers[-1])] == [1]
    assert calling.row(job).asked_start == asked


@pytest.mark.feature("DJF-05")
def test_calls_that_push_the_start_back_do_not_change_the_expiry_that_is_copied(session: Session) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    values = {"function": "functionapp.again", "unique_key": "k", "debounce": 60, "expires_at": moment}
    first = FunctionJob.acquire(session=session, **values).job
    start = first.scheduled_start
    FunctionJob.acquire(session=session, **{**values, "debounce": 3000})
    assert first.scheduled_start > start
    copy = FunctionJob.get(first.id, session=session).reschedule("1d").job
    assert copy.expires_at is not None
    assert copy.expires_at - copy.scheduled_start == moment - start


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
