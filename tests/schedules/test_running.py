"""Schedules in the run of a section, and what ticks do about them."""

from __future__ import annotations

import pytest

from jobcron import JobStatus
from schedules import Scheduled
from ticks import let_it_look, took_the_full_path


def test_a_tick_does_nothing_until_a_schedule_is_due(scheduled: Scheduled) -> None:
    scheduled.define()
    scheduled.run()
    assert not took_the_full_path(scheduled.instance, "functions")
    scheduled.missed_since(1)
    assert took_the_full_path(scheduled.instance, "functions")
    assert not took_the_full_path(scheduled.instance, "functions")


def test_another_section_creates_what_the_section_of_the_jobs_leaves(scheduled: Scheduled) -> None:
    scheduled.define("every: 1m", more="[act]\nsource_interface: fooapp.ActJob\n")
    scheduled.run()
    scheduled.instance.command("run", "act")
    scheduled.missed_since(10)
    scheduled.instance.query("UPDATE jobcron_schedule SET others_look_at = '2999-01-01'")
    assert not took_the_full_path(scheduled.instance, "act")
    scheduled.missed_since(100)
    assert took_the_full_path(scheduled.instance, "act")
    assert [job.status for job in scheduled.instance.rows()] == [JobStatus.WAITING]


def test_two_schedules_of_one_name_in_code_and_configuration_are_refused(scheduled: Scheduled) -> None:
    code = "from jobcron.schedules.definitions import add_schedule\nimport functionapp\n"
    (scheduled.instance.path / "twiceapp.py").write_text(
        f"{code}add_schedule('nightly', functionapp.export, every=3600, arguments={{'model': 'a'}})\n"
    )
    scheduled.define()
    path = scheduled.instance.path / "jobcron.conf"
    text = path.read_text().replace("application: functionapp", "application: twiceapp")
    path.write_text(text.replace("python_path:", f"python_path: {scheduled.instance.path}"))
    log = scheduled.run(expect=2)
    assert "section [schedule:nightly]: expected a name that no schedule in code has" in log


def test_a_schedule_beside_a_function_creates_its_jobs(scheduled: Scheduled) -> None:
    scheduled.define_in_code("hourly")
    scheduled.run()
    assert scheduled.row("origin", "job", name="hourly") == ("the code of codeapp", "functionapp.export")
    scheduled.missed_since(3600, name="hourly")
    scheduled.run()
    assert scheduled.instance.ledger() == [(0, 0, "a 1")]


def test_after_the_databases_clock_was_ahead_a_schedule_is_due_as_its_times_say(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.ran_ahead(86400)
    assert scheduled.due_in() > 80_000
    said = scheduled.instance.command("check-runs", expect=3)[0]  # of the runs, only those in the future are known
    assert "nightly: its next slot is at " in said
    assert "the next run of a section corrects it" in said
    let_it_look(scheduled.instance)
    log = scheduled.run()
    assert "WARNING The schedule nightly was to be looked at only at " in log
    assert 0 < scheduled.due_in() <= 3600
    assert "WARNING" not in scheduled.run()
    said = scheduled.instance.command("check-runs")[0]
    assert "OK       functions: last run 0:00:0" in said
    assert "OK       all schedules: 1 schedule" in said


def test_a_job_that_could_not_be_created_while_the_clock_was_ahead_is_tried_again(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(3700)
    scheduled.instance.query(
        "UPDATE jobcron_schedule SET error = 'expected something', look_at = '2999-01-01 00:00:00.000000'"
    )
    scheduled.instance.query("DELETE FROM jobcron_run")
    let_it_look(scheduled.instance)
    assert "The schedule nightly: job 1 for " in scheduled.run()


def test_a_clock_that_is_back_a_moment_before_a_slot_is_not_told(scheduled: Scheduled) -> None:
    scheduled.define("every: 1m")
    scheduled.run()
    due = scheduled.row("due_at")
    scheduled.instance.query("DELETE FROM jobcron_run")
    let_it_look(scheduled.instance)
    scheduled.ran_ahead(60)
    assert "WARNING" not in scheduled.run()
    assert scheduled.row("due_at") != due


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("job: functionapp.exprot", "got: functionapp.exprot"),
        (
            'job: functionapp.export\narguments: {"modle": "nightly"}',
            "expected arguments that fit functionapp.export",
        ),
    ],
)
def test_a_definition_that_could_create_no_job_does_not_replace_one_that_can(
    scheduled: Scheduled, wrong: str, said: str
) -> None:
    scheduled.define()
    scheduled.run()
    path = scheduled.instance.path / "jobcron.conf"
    right = path.read_text()
    job = 'job: functionapp.export\narguments: {"model": "nightly"}'
    assert job in right
    path.write_text(right.replace(job, wrong) + f"[schedule:other]\n{wrong}\nevery: 1h\n")
    for _ in range(2):
        log = scheduled.run()
        lines = [line for line in log.splitlines() if "could not create its jobs" in line]
        assert all("ERROR" in line and said in line for line in lines)
        assert "schedule nightly could" in lines[0]
        assert "stays as it was until that is mended: expected" in lines[0]
        assert "schedule other could" in lines[1]
        assert "is not stored until that is mended: expected" in lines[1]
        scheduled.instance.query("DELETE FROM jobcron_run")  # the next run looks at everything again
        let_it_look(scheduled.instance)
    assert scheduled.instance.query("SELECT name, job, arguments, retired_at FROM jobcron_schedule") == [
        ("nightly", "functionapp.export", '{"model": "nightly"}', None)
    ]
    path.write_text(right)
    assert "could not" not in scheduled.run()
