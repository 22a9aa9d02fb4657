"""Definitions that no run can store are told before a run, and after it."""

from __future__ import annotations

from schedules import Scheduled


def test_a_schedule_that_no_run_can_store_is_critical_before_and_after_the_run(scheduled: Scheduled) -> None:
    scheduled.define(more="[schedule:typo]\njob: functionapp.exprot\nevery: 1h\n")
    for _ in range(2):
        said = scheduled.told(2)
        assert (
            "CRITICAL all schedules: typo: is not stored and creates no job; its job: expected a job type" in said
        )
        assert "did you mean functionapp.export?" in said
        assert "nightly: " not in said
        scheduled.run()
    scheduled.define()
    assert scheduled.told(0) == "OK       all schedules: 1 schedule"


def test_a_change_that_no_run_can_store_is_critical_and_names_the_key(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    path = scheduled.instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace('{"model": "nightly"}', '{"modle": "nightly"}'))
    assert "nightly: goes on as it was before its change; its arguments: " in scheduled.told(2)
    assert "section [schedule:nightly], key arguments: " in scheduled.instance.command("check-config", expect=2)[0]


def test_a_change_in_code_that_no_run_can_store_is_told_when_no_run_has_confirmed_the_schedule_for_long(
    scheduled: Scheduled,
) -> None:
    scheduled.define_in_code("hourly")
    scheduled.run()
    code = scheduled.instance.path / "codeapp.py"
    code.write_text(code.read_text().replace("'model'", "'modell'"))  # of another length: its .pyc is stale
    assert scheduled.told(0) == "OK       all schedules: 1 schedule"  # the application is not imported each time
    scheduled.unconfirmed_for(3600, "hourly")
    assert "hourly: goes on as it was before its change; its arguments: " in scheduled.told(2)


def test_what_is_defined_is_not_judged_where_the_application_cannot_be_imported(scheduled: Scheduled) -> None:
    scheduled.define(more="[schedule:typo]\njob: functionapp.exprot\nevery: 1h\n")
    path = scheduled.instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("application: functionapp", "application: nowhere"))
    assert scheduled.told(3) == ""
