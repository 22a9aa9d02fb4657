"""A section, a type or a queue is paused: nothing of it begins, on no host, until the pause is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

import fooapp
from fooapp import OwnReadyJob
from instances import Instance
from jobcron import ConfigurationError, JobStatus, load_settings
from jobcron.operations.pauses import NewPause, Pause, Scope, current_pauses, pause, unpause
from jobcron.operations.reasons import Cause
from jobcron.operations.undo import recent_acts
from jobcron.operations.why import explain_job, explain_section
from migrations import upgrade_again_from
from runner_processes import Gate, end_leases, make, numbers, started
from script_runs import do_foo
from ticks import took_the_full_path

W, R, C, F, S, X, E, B = JobStatus

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def paused(
    instance: Instance,
    scope: Scope,
    name: str,
    until: datetime | timedelta | None = None,
    reason: str | None = None,
) -> NewPause:
    """Pause something."""
    settings = load_settings(str(instance.path))
    with instance.database.begin() as connection:
        return pause(connection, settings, scope, name, until=until, reason=reason)


def ended(instance: Instance, scope: Scope, name: str) -> Pause:
    """End a pause."""
    with instance.database.begin() as connection:
        return unpause(connection, scope, name)


def end_by_time(instance: Instance) -> None:
    """Let all pauses end by themselves."""
    instance.query("UPDATE jobcron_pause SET until = :then", then="2020-01-01 00:00:00.000000")


def test_who_paused_what_and_who_ended_it_is_among_the_acts(instance: Instance) -> None:
    settings = load_settings(str(instance.path))
    with instance.database.begin() as connection:
        until = datetime(2999, 1, 1, tzinfo=UTC)
        pause(connection, settings, Scope.QUEUE, "cats", until=until, actor="ada", reason="no milk")
        pause(connection, settings, Scope.SECTION, "act", actor="ada")
        unpause(connection, Scope.QUEUE, "cats", "bob")
        with pytest.raises(ConfigurationError, match="expected a queue that is paused"):
            unpause(connection, Scope.QUEUE, "cats", "eve")
        found = recent_acts(connection)
    assert [(act.name, act.actor, act.reason, act.instead) for act in found] == [
        ("unpause queue cats", "bob", None, "pause it again instead"),
        ("pause section act", "ada", None, "unpause it instead"),
        ("pause queue cats until 2999-01-01 00:00:00 UTC", "ada", "no milk", "unpause it instead"),
    ]


WHATS = [(Scope.SECTION, "act"), (Scope.TYPE, "foo_job.ACT"), (Scope.QUEUE, "cats")]


@pytest.mark.feature("N-02")
@pytest.mark.parametrize(("scope", "name"), WHATS)
@pytest.mark.parametrize("end", ["by hand", "by time"])
def test_nothing_that_is_paused_runs_until_the_pause_is_over(
    instance: Instance, scope: Scope, name: str, end: str
) -> None:
    job, other = instance.act(("write", "x"), queue_name="cats"), do_foo(instance, queue_name="dogs")
    made = paused(instance, scope, name, timedelta(hours=2), "no carrier").pause
    assert f"The {made}." in instance.run("act")
    instance.run("do_foo")
    assert (instance.row(job).status, instance.row(other).status) == (W, C)
    assert instance.row(job).attempt_count == 0
    if end == "by hand":
        assert ended(instance, scope, name) == made
    else:
        end_by_time(instance)
    assert "paused" not in instance.run("act")
    assert instance.row(job).status is C


def test_a_queue_is_paused_for_its_own_jobs_only(instance: Instance) -> None:
    first, second, third = (instance.act(("write", "x"), queue_name=queue) for queue in ("cats", "dogs", "cats"))
    paused(instance, Scope.QUEUE, "cats")
    instance.run("act")
    assert [instance.row(number).status for number in (first, second, third)] == [W, C, W]


@pytest.mark.feature("N-04")
@pytest.mark.parametrize(
    ("scope", "name"), [(Scope.SECTION, "do_foo"), (Scope.TYPE, "foo_job.DO_FOO"), (Scope.QUEUE, "cats")]
)
def test_a_tick_of_what_is_paused_takes_the_short_path(quiet: Instance, scope: Scope, name: str) -> None:
    do_foo(quiet, queue_name="cats")
    dead = do_foo(quiet, queue_name="cats")
    quiet.query("UPDATE jobcron_job SET status = 1, lease_token = 1, lease_expires = scheduled_start "
                "WHERE id = :id", id=dead)  # fmt: skip
    paused(quiet, scope, name)
    quiet.database.close()
    assert not took_the_full_path(quiet, "do_foo")
    end_by_time(quiet)
    quiet.database.close()
    assert took_the_full_path(quiet, "do_foo")
    assert numbers(quiet, C) == [row.id for row in quiet.rows()]


@pytest.mark.parametrize(("scope", "name"), WHATS)
def test_a_pause_ends_a_run_before_its_next_claim(instance: Instance, scope: Scope, name: str, gate: Gate) -> None:
    first = instance.act(gate.touch, gate.wait, ("write", "x"), queue_name="cats")
    second = instance.act(("write", "y"), queue_name="cats")
    with started(instance, "act") as run:
        gate.reached()
        if instance.database.dialect == "sqlite":  # a job that has written nothing holds no lock
            assert instance.row(second).status is W
        paused(instance, scope, name)
        gate.open()
        run.end()
    assert (instance.row(first).status, instance.row(second).status) == (C, W)


@pytest.mark.parametrize(("scope", "name"), WHATS)
def test_what_is_paused_is_not_taken_over(instance: Instance, scope: Scope, name: str) -> None:
    job = instance.act(("write", "x"), queue_name="cats")
    instance.query("UPDATE jobcron_job SET status = 1, lease_token = 1, claimed_by = 'dead:1', "
                   "date_started = scheduled_start, lease_expires = scheduled_start")  # fmt: skip
    end_leases(instance)
    paused(instance, scope, name)
    instance.run("act")
    assert (instance.row(job).status, instance.row(job).crash_count) == (R, 0)
    ended(instance, scope, name)
    instance.run("act")
    assert instance.row(job).status is C


def test_a_source_that_finds_its_jobs_itself_is_not_asked_while_its_section_is_paused(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    fooapp.register()
    number = make(instance, OwnReadyJob)
    asked: list[object] = []
    found = OwnReadyJob.iterReady

    def ask(cls: type[OwnReadyJob], /, **how: Any) -> Any:
        asked.append(cls)
        return found(**how)

    monkeypatch.setattr(OwnReadyJob, "iterReady", classmethod(ask))
    paused(instance, Scope.SECTION, "own_ready")
    instance.run("own_ready")
    assert (asked, instance.row(number).status) == ([], W)
    ended(instance, Scope.SECTION, "own_ready")
    paused(instance, Scope.TYPE, "foo_job.OWN_READY")
    instance.run("own_ready")
    assert (asked, instance.row(number).status) == ([OwnReadyJob], W)
    ended(instance, Scope.TYPE, "foo_job.OWN_READY")
    instance.run("own_ready")
    assert instance.row(number).status is C


def test_the_log_tells_of_a_pause_once_in_an_interval(instance: Instance) -> None:
    instance.act()
    paused(instance, Scope.SECTION, "act")
    logs = [instance.command("run", "act")[1] for _ in range(3)]  # a verbose run tells each time
    assert [log.count("is paused by") for log in logs] in (
        [1, 0, 0],
        [1, 0, 1],
    )  # an interval of the clock may end
    assert len(instance.query("SELECT 1 FROM jobcron_run")) in (1, 2)


def test_a_second_pause_replaces_the_first_which_is_told(instance: Instance) -> None:
    first = paused(instance, Scope.SECTION, "act")
    second = paused(instance, Scope.SECTION, "act", timedelta(hours=1))
    assert (first.before, second.before) == (None, first.pause)
    with instance.database.begin() as connection:
        assert current_pauses(connection) == [second.pause]
    assert ended(instance, Scope.SECTION, "act") == second.pause


def test_what_cannot_be_paused_is_refused_by_name(instance: Instance) -> None:
    instance.act()
    with pytest.raises(ConfigurationError, match="acts"):
        paused(instance, Scope.SECTION, "acts")
    with pytest.raises(ConfigurationError, match=r"got: foo_job.ACTS; it knows: .*foo_job.ACT"):
        paused(instance, Scope.TYPE, "foo_job.ACTS")
    with pytest.raises(ConfigurationError, match="queue_name"):
        paused(instance, Scope.QUEUE, "")
    with pytest.raises(ConfigurationError, match="expected a pause that ends after"):
        paused(instance, Scope.SECTION, "act", datetime(2020, 1, 1, tzinfo=UTC))
    paused(instance, Scope.QUEUE, "cats")
    with pytest.raises(
        ConfigurationError, match="expected a section that is paused, got: act; paused: queue cats"
    ):
        ended(instance, Scope.SECTION, "act")


@pytest.mark.parametrize(("scope", "name"), WHATS)
def test_why_names_the_pause_and_what_ends_it(instance: Instance, scope: Scope, name: str) -> None:
    fooapp.register()
    instance.run("act")
    number = instance.act(queue_name="cats")
    made = paused(instance, scope, name, timedelta(hours=2), "no carrier").pause
    settings = load_settings(str(instance.path))
    with instance.database.begin(writing=False) as connection:
        found = explain_job(connection, number, settings)
        section = explain_section(connection, settings, settings.section("act"))
    (reason,) = found.reasons
    assert (reason.cause, reason.text, reason.until) == (Cause.PAUSED, str(made), made.until)
    assert reason.remedy == f"jobcron unpause --{scope} {name}"
    assert (found.is_runnable, found.is_claimable) == (False, scope is Scope.SECTION)
    told = [reason for reason in section.reasons if reason.cause is Cause.PAUSED]
    assert [reason.text for reason in told] == [str(made)]
    assert section.is_runnable == (scope is Scope.QUEUE)


@on_postgresql
def test_a_role_that_could_claim_before_an_upgrade_can_claim_after_it(instance: Instance) -> None:
    number = instance.act(("write", "x"))
    upgrade_again_from(instance, "0006")
    instance.run("act")  # as foo_runner
    assert instance.row(number).status is C
    with instance.database.engine.connect() as connection:
        connection.exec_driver_sql("SET ROLE foo_runner")
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.exec_driver_sql("DELETE FROM jobcron_pause")  # that comes with `jobcron grant`
