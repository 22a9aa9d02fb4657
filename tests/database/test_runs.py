"""The record of runs: one row for each that did something, few for those that found nothing."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

import fooapp
from instances import Instance
from jobcron import DatabaseUnavailable
from jobcron.database.runs import EndedRun, is_due, record_run, typical_seconds
from ticks import let_it_look, took_the_full_path


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize("jobs", [0, 1])
@pytest.mark.parametrize(
    "error", [DatabaseUnavailable("gone"), ValueError("a bug"), SystemExit(7), KeyboardInterrupt("pressed")]
)
def test_what_a_run_did_before_something_ended_it_is_recorded(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, error: BaseException, jobs: int
) -> None:
    with instance.session() as session:
        for _ in range(jobs):
            fooapp.OwnReadyJob.create(instance.foo(session), session=session)
    yields = fooapp.OwnReadyJob.iterReady

    def then_break(*, session: Any = None) -> Any:
        found = list(yields(session=session))
        if not found and isinstance(error, KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)  # noticed when this has returned
        elif not found:
            raise error
        return iter(found)

    monkeypatch.setattr(fooapp.OwnReadyJob, "iterReady", then_break)
    with pytest.raises(type(error)):
        instance.run("own_ready")
    assert len(instance.ledger()) == jobs
    assert instance.query("SELECT completed, incomplete, oopses FROM jobcron_run") == [(1, 0, 0)] * jobs


def shifted(instance: Instance, seconds: float) -> str:
    """Return an SQL expression: so many seconds from now."""
    if instance.database.dialect == "postgresql":
        return f"statement_timestamp() + make_interval(secs => {seconds})"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '{seconds} seconds')"


@pytest.mark.feature("LP-27")
def test_a_section_without_a_recent_run_takes_the_full_path_and_leaves_one_row(quiet: Instance) -> None:
    let_it_look(quiet)
    quiet.query(f"UPDATE jobcron_run SET date_started = {shifted(quiet, -570)} WHERE name = 'do_foo'")
    quiet.database.close()
    assert not took_the_full_path(quiet, "do_foo")
    quiet.query(f"UPDATE jobcron_run SET date_started = {shifted(quiet, -601)} WHERE name = 'do_foo'")
    quiet.database.close()
    assert took_the_full_path(quiet, "do_foo")
    assert not took_the_full_path(quiet, "do_foo")
    rows = quiet.query("SELECT completed, incomplete, oopses FROM jobcron_run WHERE name = 'do_foo'")
    assert rows == [(0, 0, 0)] * 2


@pytest.mark.feature("LP-27")
def test_the_interval_is_that_of_the_configuration(quiet: Instance) -> None:
    quiet.query(f"UPDATE jobcron_run SET date_started = {shifted(quiet, -30)}")
    quiet.database.close()
    quiet.configure("activity_interval: 20s\n")
    assert took_the_full_path(quiet, "do_foo")
    quiet.configure("activity_interval: 40s\n")
    assert not took_the_full_path(quiet, "act")


NOTHING = EndedRun("shop", 1.0, completed=0, incomplete=0, oopses=0, waited=0.0, ran=0.0)


BUSY = EndedRun("shop", 6.0, completed=2, incomplete=1, oopses=1, waited=9.0, ran=5.0)


def counts(instance: Instance) -> list[tuple[int, int, int]]:
    """Return what the rows say."""
    rows = instance.query("SELECT completed, incomplete, oopses FROM jobcron_run ORDER BY id")
    return [tuple(row) for row in rows]


@pytest.mark.feature("LP-27")
def test_runs_that_found_nothing_leave_one_row_in_an_interval_and_others_one_each(instance: Instance) -> None:
    with instance.database.begin() as connection:
        assert is_due(connection, "shop", 3600.0)
        for run in (NOTHING, NOTHING, BUSY, BUSY, NOTHING):
            record_run(connection, run, 3600.0)
        assert not is_due(connection, "shop", 3600.0)
        assert is_due(connection, "another", 3600.0)
    assert counts(instance) == [(0, 0, 0), (2, 1, 1), (2, 1, 1)]


def test_how_long_a_job_takes_is_told_by_the_runs_that_had_some(instance: Instance) -> None:
    with instance.database.begin() as connection:
        record_run(connection, NOTHING, 0.0)
        assert typical_seconds(connection, "shop") is None
        record_run(connection, BUSY, 0.0)
        assert typical_seconds(connection, "shop") == pytest.approx(2.0, abs=0.1)


def test_a_run_says_how_long_its_jobs_waited_and_took(instance: Instance) -> None:
    for job in (instance.act(("write", "x")), instance.act(("raise", "value")), instance.act()):
        instance.query(
            f"UPDATE jobcron_job SET date_created = {shifted(instance, -200)}, "
            f"scheduled_start = {shifted(instance, -100)} WHERE id = {job}"
        )
    instance.run("act")
    ((waited, ran),) = instance.query("SELECT waited, ran FROM jobcron_run")
    assert 300 <= waited < 600, "they were due for 100 seconds, three of them"
    assert 0 < ran < 100


def test_a_run_that_found_nothing_and_a_script_without_jobs_say_so(quiet: Instance) -> None:
    quiet.query("DELETE FROM jobcron_run")
    quiet.command("prune")
    assert quiet.query("SELECT name, waited, ran FROM jobcron_run") == [("prune-jobs", None, None)]
    quiet.run("act")
    assert quiet.query("SELECT waited, ran FROM jobcron_run WHERE name = 'act'") == [(0.0, 0.0)]
