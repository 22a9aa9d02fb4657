"""check-runs tells of schedules: overdue, failing, with missed slots."""

from __future__ import annotations

from schedules import Scheduled


def test_schedules_that_do_what_they_should_are_counted(scheduled: Scheduled) -> None:
    scheduled.define("")
    scheduled.run()
    assert scheduled.told(0) == ""
    scheduled.define()
    scheduled.run()
    assert scheduled.told(0) == "OK       all schedules: 1 schedule"


def test_a_slot_for_which_nothing_has_run_is_critical_and_told_as_missed_afterwards(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(3 * 3600)
    said = scheduled.told(2)
    assert "nightly: due since 3:00:0" in said
    assert "and no run has created its job" in said
    scheduled.run()
    assert "WARNING  all schedules: nightly: 2 slots missed in a day" in scheduled.told(1)


def test_a_schedule_whose_job_cannot_be_created_is_critical(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.instance.query("UPDATE jobcron_schedule SET error = 'expected something'")
    assert "nightly: its job could not be created: expected something" in scheduled.told(2)


def test_a_schedule_that_is_not_defined_here_any_more_is_not_overdue(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(3 * 3600)
    scheduled.define("")
    assert scheduled.told(0) == "OK       all schedules: 1 schedule"


def test_a_schedule_of_the_code_that_is_retired_elsewhere_is_told(scheduled: Scheduled) -> None:
    scheduled.define_in_code("hourly")
    scheduled.run()
    assert scheduled.told(0) == "OK       all schedules: 1 schedule"
    scheduled.instance.query(
        "UPDATE jobcron_schedule SET retired_at = seen_at, due_at = NULL, look_at = NULL, others_look_at = NULL"
    )
    assert "WARNING  all schedules: hourly: defined here, but another host" in scheduled.told(1)
    (scheduled.instance.path / "codeapp.py").write_text("import functionapp\n")
    assert scheduled.told(0) == "OK       all schedules: 1 schedule"
    (scheduled.instance.path / "codeapp.py").write_text("raise ValueError\n")
    assert scheduled.told(0) == "OK       all schedules: 1 schedule"
