"""check-runs tells of schedules: overdue, failing, with missed slots."""

from __future__ import annotations

from schedules import Scheduled


def line(scheduled: Scheduled, expect: int) -> str:
    """Return what check-runs says about schedules."""
    out, _ = scheduled.instance.command("check-runs", expect=expect)
    return next((text for text in out.splitlines()[1:] if "all schedules:" in text), "")


def test_schedules_that_do_what_they_should_are_counted(scheduled: Scheduled) -> None:
    scheduled.define("")
    scheduled.run()
    assert line(scheduled, 0) == ""
    scheduled.define()
    scheduled.run()
    assert line(scheduled, 0) == "OK       all schedules: 1 schedule"


def test_a_slot_for_which_nothing_has_run_is_critical_and_told_as_missed_afterwards(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(3 * 3600)
    said = line(scheduled, 2)
    assert "nightly: due since 3:00:0" in said
    assert "and no run has created its job" in said
    scheduled.run()
    assert "WARNING  all schedules: nightly: 2 slots missed in a day" in line(scheduled, 1)


def test_a_schedule_whose_job_cannot_be_created_is_critical(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.instance.query("UPDATE jobcron_schedule SET error = 'expected something'")
    assert "nightly: its job could not be created: expected something" in line(scheduled, 2)


def test_a_schedule_that_is_not_defined_here_any_more_is_not_overdue(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(3 * 3600)
    scheduled.define("")
    assert line(scheduled, 0) == "OK       all schedules: 1 schedule"


def test_a_schedule_of_the_code_that_is_retired_elsewhere_is_told(scheduled: Scheduled) -> None:
    scheduled.define_in_code("hourly")
    scheduled.run()
    assert line(scheduled, 0) == "OK       all schedules: 1 schedule"
    scheduled.instance.query(
        "UPDATE jobcron_schedule SET retired_at = seen_at, due_at = NULL, look_at = NULL, others_look_at = NULL"
    )
    assert "WARNING  all schedules: hourly: defined here, but another host" in line(scheduled, 1)
    (scheduled.instance.path / "codeapp.py").write_text("import functionapp\n")
    assert line(scheduled, 0) == "OK       all schedules: 1 schedule"
    (scheduled.instance.path / "codeapp.py").write_text("raise ValueError\n")
    assert line(scheduled, 0) == "OK       all schedules: 1 schedule"


def test_a_schedule_that_no_run_can_store_is_critical_before_and_after_the_run(scheduled: Scheduled) -> None:
    scheduled.define(more="[schedule:typo]\njob: functionapp.exprot\nevery: 1h\n")
    for _ in range(2):
        said = line(scheduled, 2)
        assert (
            "CRITICAL all schedules: typo: is not stored and creates no job; its job: expected a job type" in said
        )
        assert "did you mean functionapp.export?" in said
        assert "nightly: " not in said
        scheduled.run()
    scheduled.define()
    assert line(scheduled, 0) == "OK       all schedules: 1 schedule"


def test_a_change_that_no_run_can_store_is_critical_and_names_the_key(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    path = scheduled.instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace('{"model": "nightly"}', '{"modle": "nightly"}'))
    assert "nightly: goes on as it was before its change; its arguments: " in line(scheduled, 2)
    assert "section [schedule:nightly], key arguments: " in scheduled.instance.command("check-config", expect=2)[0]


def test_a_change_in_code_that_no_run_can_store_is_told_when_no_run_has_confirmed_the_schedule_for_long(
    scheduled: Scheduled,
) -> None:
    scheduled.define_in_code("hourly")
    scheduled.run()
    code = scheduled.instance.path / "codeapp.py"
    code.write_text(code.read_text().replace("'model'", "'modle'"))
    assert line(scheduled, 0) == "OK       all schedules: 1 schedule"  # the application is not imported each time
    scheduled.unconfirmed_for(3600, "hourly")
    assert "hourly: goes on as it was before its change; its arguments: " in line(scheduled, 2)


def test_what_is_defined_is_not_judged_where_the_application_cannot_be_imported(scheduled: Scheduled) -> None:
    scheduled.define(more="[schedule:typo]\njob: functionapp.exprot\nevery: 1h\n")
    path = scheduled.instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("application: functionapp", "application: nowhere"))
    assert line(scheduled, 3) == ""
