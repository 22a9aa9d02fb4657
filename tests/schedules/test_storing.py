"""The rows of schedules follow their definitions, and keep what operators and slots have made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from instances import Instance
from schedules import AGO, Scheduled
from ticks import let_it_look


def test_a_changed_schedule_takes_effect_with_the_next_run_and_has_missed_nothing(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(7200)
    scheduled.define("every: 2d")
    assert "The schedule nightly has changed." in scheduled.run()
    assert scheduled.jobs == 0
    assert scheduled.due_in() > 0


def test_a_schedule_that_is_no_longer_defined_creates_nothing_and_may_come_back(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.define("")
    scheduled.missed_since(60)
    assert "nightly" not in scheduled.run()
    assert (scheduled.jobs, scheduled.row("retired_at")) == (0, (None,))
    scheduled.unconfirmed_for(2000)
    assert (
        "The schedule nightly is no longer defined by the configuration instance of functionapp."
        in scheduled.run()
    )
    assert scheduled.row("due_at", "look_at") == (None, None)
    ago = AGO[scheduled.instance.database.dialect].format(8 * 86400)
    scheduled.instance.query(f"UPDATE jobcron_schedule SET retired_at = {ago}, kept_due_at = {ago}")
    scheduled.define("every: 1h")
    assert "The schedule nightly is defined again." in scheduled.run()
    assert 0 < scheduled.due_in() <= 3600
    assert (scheduled.jobs, scheduled.row("retired_at", "kept_due_at")) == (0, (None, None))


@pytest.fixture
def other(scheduled: Scheduled, tmp_path: Path) -> Iterator[Scheduled]:
    """Return an instance of the same name and application on the same database, which defines another schedule."""
    (tmp_path / "other").mkdir()
    found = Scheduled(Instance(tmp_path / "other" / "instance", scheduled.instance.url))
    found.define("every: 1h", name="hourly")
    yield found
    found.instance.database.close()


def test_hosts_that_define_different_schedules_do_not_retire_each_others(
    scheduled: Scheduled, other: Scheduled
) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    other.run()
    scheduled.missed_since(3700)
    other.run()  # it leaves the job to those who define it
    assert (scheduled.jobs, scheduled.row("retired_at")) == (0, (None,))
    scheduled.unconfirmed_for(1700)
    other.run()
    assert scheduled.row("retired_at") == (None,)
    assert "The schedule nightly: job 1 for " in scheduled.run()


def test_a_schedule_that_a_host_retires_while_another_is_away_has_its_slots_when_that_is_back(
    scheduled: Scheduled, other: Scheduled
) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.unconfirmed_for(2000)
    scheduled.missed_since(3 * 3600)
    assert "The schedule nightly is no longer defined by " in other.run()
    said = scheduled.instance.command("check-runs", expect=1)[0]
    assert "nightly: defined here, but another host, which does not define it, has retired it" in said
    scheduled.instance.query("DELETE FROM jobcron_run")  # an activity interval later
    let_it_look(scheduled.instance)
    log = scheduled.run()
    assert "The schedule nightly is defined again." in log
    assert "The schedule nightly: job 1 for " in log
    assert scheduled.slots() == [("created", 2, True)]


def test_a_run_confirms_what_it_defines_once_in_a_while(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.unconfirmed_for(100)
    before = scheduled.row("seen_at")
    scheduled.run()
    assert scheduled.row("seen_at") == before
    for ago in (400, None):  # a clock that was ahead is no confirmation
        if ago is None:
            scheduled.instance.query("UPDATE jobcron_schedule SET seen_at = '2999-01-01 00:00:00.000000'")
        else:
            scheduled.unconfirmed_for(ago)
        scheduled.instance.query("DELETE FROM jobcron_run")
        let_it_look(scheduled.instance)
        before = scheduled.row("seen_at")
        scheduled.run()
        assert scheduled.row("seen_at") != before


def test_rows_of_an_older_release_are_confirmed_and_those_that_are_gone_are_retired(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    former = "UPDATE jobcron_schedule SET origin = 'the configuration instance', seen_at = NULL"
    scheduled.instance.query(former)
    scheduled.instance.query("DELETE FROM jobcron_run")
    let_it_look(scheduled.instance)
    scheduled.run()
    assert scheduled.row("origin") == ("the configuration instance of functionapp",)
    scheduled.instance.query(former)
    scheduled.define("")
    scheduled.run()
    assert scheduled.row("retired_at") == (None,)
    scheduled.unconfirmed_for(2000)
    scheduled.instance.query("DELETE FROM jobcron_run")
    let_it_look(scheduled.instance)
    scheduled.run()
    assert scheduled.row("retired_at") != (None,)


def test_a_disabled_schedule_creates_nothing(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h\nenabled: false")
    scheduled.run()
    assert scheduled.row("due_at") == (None,)


def test_a_renamed_schedule_keeps_its_slots_and_an_older_release_leaves_it_alone(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(3600)
    scheduled.run()
    scheduled.define("every: 1h\nrenamed_from: nightly", name="hourly")
    scheduled.run()
    ids = scheduled.instance.query("SELECT id, name FROM jobcron_schedule")
    assert ids == [(1, "hourly")]
    assert scheduled.slots() == [("created", 0, True)]
    scheduled.define("every: 1h")  # the configuration of an older release, on another host
    scheduled.run()
    assert scheduled.instance.query("SELECT id, name FROM jobcron_schedule") == ids
    assert scheduled.row("retired_at", name="hourly") == (None,)


def test_what_an_operator_has_paused_stays_paused_when_its_definition_changes(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.instance.command("schedules", "pause", "nightly")
    scheduled.define("every: 2h")
    scheduled.run()
    assert scheduled.row("every", "due_at") == (7200, None)
    scheduled.instance.command("schedules", "resume", "nightly")
    assert 0 < scheduled.due_in() <= 7200


def test_a_schedule_that_an_instance_in_another_place_defines_as_well_is_one(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.instance.query("UPDATE jobcron_schedule SET origin = 'the configuration elsewhere'")
    scheduled.define("every: 2h")
    scheduled.run()
    assert scheduled.instance.query("SELECT name, origin FROM jobcron_schedule") == [
        ("nightly", "the configuration instance of functionapp")
    ]
    scheduled.instance.query("UPDATE jobcron_schedule SET origin = 'the configuration elsewhere'")
    scheduled.define("")  # this instance does not decide about another's
    scheduled.run()
    assert scheduled.row("retired_at") == (None,)


def test_old_slots_are_pruned_but_for_the_last_one(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    row = "(1, '2020-01-0{0}', 0, '2020-01-0{0} 00:00:00.000000', 'missed', 0)"
    slots = ", ".join(row.format(day) for day in (1, 2, 3))
    scheduled.instance.query(
        f"INSERT INTO jobcron_slot (schedule, local_time, fold, due_at, outcome, missed) VALUES {slots}"
    )
    assert "Would remove 2 slots of schedules." in scheduled.instance.command("prune", "--dry-run")[1]
    assert len(scheduled.slots()) == 3
    assert "Removed 2 slots of schedules." in scheduled.instance.command("prune")[1]
    assert scheduled.instance.query("SELECT local_time FROM jobcron_slot") == [("2020-01-03",)]


def test_a_slot_of_another_time_zone_does_not_take_the_place_of_one_that_the_clocks_show_alike(
    scheduled: Scheduled,
) -> None:
    scheduled.define("cron: 0 * * * *\nmissed: all\noverlap: allow")
    scheduled.run()
    scheduled.missed_since(3 * 3600)
    scheduled.run()
    before = scheduled.jobs
    assert before >= 3
    scheduled.define("cron: 0 * * * *\noverlap: allow\ntime_zone: Etc/GMT+1")
    scheduled.run()
    assert scheduled.jobs == before
    scheduled.missed_since(3600)
    scheduled.run()
    assert scheduled.jobs == before + 1
