"""Sections, runs and types as they are now."""

from __future__ import annotations

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from health_checks import move
from hosts import hold_elsewhere
from instances import Instance
from jobcron import load_settings
from jobcron.operations.listing import Count
from jobcron.operations.reasons import Cause
from jobcron.operations.sections import SectionState, recent_runs, section_state, section_states, type_states
from jobcron.operations.why import explain_section
from jobcron.queue.health import Health
from jobcron.scripts.locks.holders import lock_file


def test_a_section_shows_its_runs_its_jobs_and_its_failures(instance: Instance) -> None:
    instance.act(("raise", "value"))
    instance.run("act")
    waiting = instance.act()
    running = instance.act()
    instance.query("UPDATE jobcron_job SET status = 1, lease_token = 1, lease_expires = scheduled_start "
                   "WHERE id = :id", id=running)  # fmt: skip
    settings = load_settings(str(instance.path))
    with instance.database.begin(writing=False) as connection:
        states = {state.name: state for state in section_states(connection, settings)}
        assert section_state(connection, settings, settings.section("act")).ready == Count(1, is_exact=True)
    act, other = states["act"], states["do_foo"]
    assert list(states) == list(settings.sections)
    assert waiting != running
    assert act.last_run is not None
    assert act.ready == act.running == Count(1, is_exact=True)
    assert (act.failed, act.health) == (1, Health.OK)
    assert act.oldest_ready is not None
    assert act.oldest_ready < timedelta(minutes=1)
    assert (other.last_run, other.ready.number, other.oldest_ready, other.failed) == (None, 0, None, 0)
    assert other.findings[0] == "has never run"
    assert (act.faults, other.faults) == ((), ("has never run",))


def test_a_section_says_when_it_is_due_and_by_how_much_it_is_late(instance: Instance) -> None:
    act = "[act]\nsource_interface: fooapp.IActJobSource\nschedule: {}\n"
    instance.configure("activity_interval: 10m", sections=act.format("*/5 * * * *"))
    instance.run("act")

    def state() -> SectionState:
        settings = load_settings(str(instance.path))
        with instance.database.begin(writing=False) as connection:
            return section_state(connection, settings, settings.section("act"))

    found, now = state(), datetime.now(UTC)
    assert found.next_run is not None
    assert now - timedelta(seconds=30) < found.next_run <= now + timedelta(minutes=5)
    assert (found.next_run.minute % 5, found.next_run.second) == (0, 0)
    assert (found.late, found.lock_holder) == (None, None)
    move(instance, "jobcron_run", "date_completed", 3)
    late = state().late
    assert late is not None
    assert timedelta(hours=2, minutes=44) < late <= timedelta(hours=2, minutes=51)
    settings = load_settings(str(instance.path))
    path = Path(lock_file(settings.lock_dir, "act"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        print("process 17 of a test", file=lock, flush=True)
        locked = state()
        assert (locked.late, locked.lock_holder) == (None, "process 17 of a test")
    instance.query("UPDATE jobcron_run SET date_completed = :then", then="2020-01-01 00:00:00.000000")
    instance.configure("activity_interval: 10m", sections=act.format("@reboot"))
    assert (state().next_run, state().late) == (None, None)


@pytest.mark.feature("LP-32")
def test_a_run_on_another_host_that_is_alone_everywhere_is_told_of(instance: Instance) -> None:
    instance.configure(sections="[act]\nsource_interface: fooapp.IActJobSource\nlock: cluster\n")
    instance.run("act")
    move(instance, "jobcron_run", "date_completed", 3)
    settings = load_settings(str(instance.path))
    with instance.database.begin(writing=False) as connection:
        assert section_state(connection, settings, settings.section("act")).late is not None
    hold_elsewhere(instance)
    with instance.database.begin(writing=False) as connection:
        found = section_state(connection, settings, settings.section("act"))
        why = explain_section(connection, settings, settings.section("act"))
    assert (found.late, found.lock_holder) == (None, None)
    assert (found.cluster_holder or "").startswith("process 4711 on far since ")
    (reason,) = [reason for reason in why.reasons if reason.cause is Cause.LOCK_HELD]
    assert reason.text.startswith("the lock of section act in the database is held by process 4711 on far since ")
    assert "process 4711 on far" in instance.command("sections")[0]
    assert "its lock is held by process 4711 on far" in instance.command("check-runs", "act", expect=2)[0]


def test_runs_are_listed_the_newest_first(instance: Instance) -> None:
    instance.act()
    instance.run("act")
    instance.run("do_foo")
    with instance.database.begin(writing=False) as connection:
        runs = recent_runs(connection)
        assert [(run.name, run.completed) for run in runs] == [("do_foo", 0), ("act", 1)]
        assert recent_runs(connection, "act") == runs[1:]
        assert recent_runs(connection, below=runs[0].id) == runs[1:]
        assert recent_runs(connection, limit=1) == runs[:1]


def test_types_show_who_runs_them_and_what_has_not_ended(instance: Instance) -> None:
    instance.act()
    instance.act()
    instance.run("act", "--fail-on-job-failure")
    instance.act()
    settings = load_settings(str(instance.path))
    with instance.database.begin(writing=False) as connection:
        states = {state.name: state for state in type_states(connection, settings)}
    act = states["foo_job.ACT"]
    assert (act.sections, act.pending) == (("act",), Count(1, is_exact=True))
    assert "fooapp.IActJobSource" in act.sources
