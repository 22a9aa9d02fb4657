"""Why a schedule creates no jobs."""

from __future__ import annotations

from operating import Operator
from schedules import Scheduled


def test_why_says_when_a_schedule_is_due_next(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define()
    scheduled.run()
    said = operator("why", "--schedule", "nightly", expect=1)
    assert said.startswith("schedule nightly creates no job now:\n1. not due: its next slot is ")
    assert "-> `jobcron schedules run nightly` creates a job now" in said
    assert operator.json("why", "--schedule", "nightly", expect=1)["schedule"] == "nightly"


def test_why_says_that_the_clock_was_ahead(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.ran_ahead(86400)
    said = operator("why", "--schedule", "nightly", expect=1)
    assert "later than its times say: the database's clock was ahead" in said


def test_why_says_what_the_last_slot_was_and_that_one_is_due(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(2 * 3600)
    scheduled.run()
    scheduled.missed_since(60)
    said = operator("why", "--schedule", "nightly")
    assert "ready: a slot has been due for 1 min: the next run of a section creates its job" in said
    assert "created, job 1; 1 before it were missed" in said


def test_why_says_who_has_paused_a_schedule(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define()
    scheduled.run()
    operator("schedules", "pause", "nightly")
    assert "1. paused: " in operator("why", "--schedule", "nightly", expect=1)


def test_why_says_what_is_wrong_and_for_which_job_it_waits(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define("every: 1h\noverlap: wait")
    scheduled.run()
    scheduled.missed_since(3600)
    scheduled.run()
    scheduled.let_wait()
    scheduled.missed_since(3600)
    scheduled.run()
    said = operator("why", "--schedule", "nightly", expect=1)
    assert "1. waits for its last job: job 1 has not ended, and the schedule says overlap: wait" in said
    assert operator.table("schedules")[0]["state"] == "waiting"
    scheduled.instance.query("UPDATE jobcron_schedule SET error = 'expected x', waits_for = NULL")
    assert "1. its job cannot be created: expected x" in operator("why", "--schedule", "nightly", expect=1)


def test_why_says_that_a_schedule_is_disabled_or_retired(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define("every: 1h\nenabled: false")
    scheduled.run()
    said = operator("why", "--schedule", "nightly", expect=1)
    assert "1. disabled: the configuration instance of functionapp says" in said
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.define("")
    said = operator("why", "--schedule", "nightly", expect=1)
    assert "1. no longer defined: " in said
    assert "jobcron.conf does not define it; a run that does confirmed it at " in said
    scheduled.unconfirmed_for(2000)
    scheduled.run()
    assert "1. no longer defined: " in operator("why", "--schedule", "nightly", expect=1)


def test_why_says_that_no_section_runs_the_jobs(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    path = scheduled.instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("jobcron.functions.FunctionJob", "fooapp.ActJob"))
    assert "no section: no section of " in operator("why", "--schedule", "nightly", expect=1)


def test_why_says_what_keeps_a_schedule_from_being_stored(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define(more="[schedule:typo]\njob: functionapp.exprot\nevery: 1h\n")
    said = operator("why", "--schedule", "typo", expect=1)
    assert "1. its job cannot be created: is not stored and creates no job; its job: expected a job type" in said
    assert "-> mend section [schedule:typo] of " in said
    scheduled.run()
    path = scheduled.instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace('{"model": "nightly"}', '{"modle": "nightly"}'))
    said = operator("why", "--schedule", "nightly", expect=1)
    assert "1. not due: its next slot is " in said  # the row says what it does, and what it will not learn
    assert "its job cannot be created: goes on as it was before its change; its arguments: " in said


def test_why_does_not_judge_a_definition_without_its_application(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define()
    scheduled.run()
    path = scheduled.instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("application: functionapp", "application: nowhere"))
    said = scheduled.instance.command("why", "--schedule", "nightly", expect=1)[0]
    assert "1. not due: its next slot is " in said
    assert "cannot be created" not in said
