"""``check-runs`` for monitoring systems, and ``oops`` for people."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from instances import Instance, wait_until
from jobcron.settings.cron_schedule import longest_pause

SECTIONS = """
[act]
source_interface: fooapp.IActJobSource
{act}

[do_foo]
source_interface: fooapp.IDoFooJobSource
schedule: @daily
"""


def check(instance: Instance, expect: int, *names: str) -> str:
    """Return what ``check-runs`` prints."""
    out, err = instance.command("check-runs", *names, expect=expect)
    assert err == ""
    return out


def move(instance: Instance, table: str, column: str, hours: float, where: str = "1 = 1") -> None:
    """Move a time of rows into the past."""
    moved = {
        "sqlite": f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-{hours} hours')",
        "postgresql": f"{column} - interval '{hours} hours'",
    }[instance.database.dialect]
    instance.query(f"UPDATE {table} SET {column} = {moved} WHERE {where}")


@pytest.fixture
def watched(instance: Instance) -> Instance:
    """Return an instance whose two sections have run."""
    instance.configure(sections=SECTIONS.format(act=""))
    for section in ("act", "do_foo"):
        instance.command("run", section)
    return instance


@pytest.mark.feature("LP-27")
def test_what_runs_in_time_and_fails_little_is_ok(watched: Instance) -> None:
    out = check(watched, 0)
    assert out.splitlines()[0] == "JOBCRON OK - 2 sections"
    assert out.splitlines()[1].startswith("OK       act: last run 0:00:0")
    assert "no job is ready; 0 failures in an hour; no job left behind" in out


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize(("hours", "status", "word"), [(0.3, 0, "OK"), (0.45, 1, "WARNING"), (1, 2, "CRITICAL")])
def test_silence_goes_by_the_schedule(watched: Instance, hours: float, status: int, word: str) -> None:
    move(watched, "jobcron_run", "date_completed", hours)
    out = check(watched, status)
    assert out.startswith(f"JOBCRON {word} - ")
    assert "OK       do_foo: last run" in out  # it runs once a day


@pytest.mark.feature("LP-27")
def test_a_section_that_has_never_run_is_unknown(instance: Instance) -> None:
    instance.configure(sections=SECTIONS.format(act=""))
    assert check(instance, 3).startswith("JOBCRON UNKNOWN - act: has never run; do_foo: has never run\n")


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize(("limits", "status"), [("5h 9h", 1), ("1h 2h", 2), ("10h 20h", 0), ("none", 0)])
def test_the_oldest_ready_job_may_wait_for_so_long(watched: Instance, limits: str, status: int) -> None:
    watched.configure(sections=SECTIONS.format(act=f"alert_waiting: {limits}"))
    job = watched.act(("write", "x"))
    watched.act(("write", "y"), priority=-5)
    watched.act(("raise", "retryable"))
    move(watched, "jobcron_job", "scheduled_start", 6, f"id = {job}")
    out = check(watched, status, "act")
    assert "oldest ready job due 6:00:0" in out


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_time_that_cannot_be_read_is_unknown_and_no_warning(watched: Instance) -> None:
    job = watched.act(("write", "x"))
    watched.query("UPDATE jobcron_job SET scheduled_start = '0garbage' WHERE id = :id", id=job)
    assert check(watched, 3, "act").startswith("JOBCRON UNKNOWN - a row cannot be read: ")


@pytest.mark.feature("LP-27")
def test_failures_of_the_last_hour_are_counted_user_errors_among_them(watched: Instance) -> None:
    watched.configure(sections=SECTIONS.format(act="alert_failures: 2 3"))
    watched.act(("raise", "value"))
    watched.act(("raise", "suspend"))
    watched.run("act")
    check(watched, 0)
    watched.act(("raise", "user"))
    watched.run("act")
    assert check(watched, 1).startswith("JOBCRON WARNING - act: 2 failures in an hour, warning from 2 on\n")
    assert "OK       do_foo" in check(watched, 1)
    watched.act(("raise", "value"))
    watched.run("act")
    check(watched, 2)
    move(watched, "jobcron_event", "at", 1.1)
    check(watched, 0)


@pytest.mark.feature("LP-27")
def test_a_run_that_goes_on_for_hours_is_not_silent_and_its_failures_count(
    watched: Instance, tmp_path: Path
) -> None:
    watched.configure(sections=SECTIONS.format(act="alert_failures: 1 9"))
    started, go_on = tmp_path / "started", tmp_path / "go on"
    watched.act(("raise", "value"))
    watched.act(("touch", str(started)), ("wait_for", str(go_on)))
    move(watched, "jobcron_run", "date_completed", 9)
    with watched.start("act") as run:
        try:
            wait_until(started.exists, "the second job")
            out = check(watched, 1, "act")
        finally:
            go_on.touch()
            run.communicate(timeout=60)
    assert out.startswith("JOBCRON WARNING - act: 1 failures in an hour, warning from 1 on\n")
    assert re.search(r"last run 9:00:\d\d ago, a job is running; ", out)


@pytest.mark.feature("LP-27")
def test_a_job_under_a_lease_that_is_past_does_not_hide_a_silence(watched: Instance) -> None:
    job = watched.act(("write", "x"))
    watched.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 1, lease_expires = date_created, attempt_count = 1"
    )
    watched.end_lease(job)
    move(watched, "jobcron_run", "date_completed", 9)
    assert "JOBCRON CRITICAL - act: last run 9:00:" in check(watched, 2, "act")


@pytest.mark.feature("LP-23", "LP-27")
def test_jobs_that_nobody_takes_over_are_told(watched: Instance) -> None:
    job = watched.act(("write", "x"))
    watched.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 1, lease_expires = date_created, attempt_count = 1"
    )
    watched.end_lease(job)
    assert "1 jobs whose process died have not been taken over" in check(watched, 1)


@pytest.mark.feature("LP-27", "LP-29")
def test_what_cannot_be_known_is_unknown_and_says_why(watched: Instance) -> None:
    assert "expected a section [nonsense], found none" in check(watched, 3, "nonsense")
    url = "postgresql://nobody:s3cr3t-c4nary@127.0.0.1:1/x"
    out, _ = watched.command("check-runs", expect=3, extra_env={"JOBCRON_DATABASE_URL": url})
    assert out.startswith("JOBCRON UNKNOWN - JOBCRON_DATABASE_URL: cannot connect")
    assert "c4nary" not in out


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("value", ["1h", "2h 1h", "soon later", "1 2 3"])
def test_limits_that_make_no_sense_are_refused(instance: Instance, value: str) -> None:
    instance.configure(sections=SECTIONS.format(act=f"alert_waiting: {value}"))
    out = check(instance, 3)
    assert "section [act], key alert_waiting: expected" in out


@pytest.mark.parametrize(
    ("schedule", "pause"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("*/7 * * * *", timedelta(minutes=7)),
        ("5,50 * * * *", timedelta(minutes=45)),
        ("0 9-17 * * mon-fri", timedelta(hours=64)),
        ("@hourly", timedelta(hours=1)),
        ("@daily", timedelta(days=1)),
        ("0 3 * * 7", timedelta(days=7)),
        ("@monthly", timedelta(days=31)),
        ("0 0 29 feb *", None),
        ("0 0 1,15 * mon", timedelta(days=7)),
        ("@reboot", None),
    ],
)
def test_the_longest_pause_of_a_schedule(schedule: str, pause: timedelta | None) -> None:
    assert longest_pause(schedule) == pause


@pytest.fixture
def failed(instance: Instance) -> tuple[Instance, dict[str, Any]]:
    """Return an instance with a report, and the report."""
    instance.act(("write", "x"), ("chain", "odd \x1b[31m"), tell=[])
    instance.command("run", "act")
    return instance, json.loads(instance.oopses()[0].read_text())


@pytest.mark.feature("LP-25")
def test_a_report_is_shown_to_people(failed: tuple[Instance, dict[str, Any]]) -> None:
    instance, report = failed
    out, _ = instance.command("oops", report["id"])
    assert out.startswith(f"{report['id']}\nValueError: the consequence\n")
    assert "KeyError: 'the cause'" in out
    assert "reporter  T-act" in out
    assert "INSERT INTO ledger" in out
    assert "  attempt_count  1" in out
    as_json, _ = instance.command("oops", report["id"], "--json")
    assert json.loads(as_json) == report


@pytest.mark.feature("LP-25")
def test_without_an_id_the_newest_reports_are_listed(failed: tuple[Instance, dict[str, Any]]) -> None:
    instance, report = failed
    out, _ = instance.command("oops")
    assert out == f"{report['time'][:19]}  {report['id']}  ValueError: the consequence\n"


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("oops_id", ["../../etc/passwd", "OOPS-", "OOPS-a/b", "OOPS-*"])
def test_what_is_no_id_meets_no_path(instance: Instance, oops_id: str) -> None:
    _, err = instance.command("oops", oops_id, expect=2)
    assert err == f"jobcron: expected an id such as OOPS-J5-1-0a1b2c3d, got: {oops_id!r}\n"


@pytest.mark.feature("LP-25")
def test_a_report_that_is_nowhere_is_said_with_the_places(instance: Instance) -> None:
    _, err = instance.command("oops", "OOPS-T1-1-x", expect=1)
    assert (
        f"expected a report OOPS-T1-1-x in {instance.state / 'oops'} or in the history of a job, found none" in err
    )


@pytest.mark.feature("LP-25")
def test_a_report_that_no_publisher_took_is_shown_from_the_history(instance: Instance) -> None:
    instance.configure("oops_publishers: alarmapp:refuse")
    job = instance.act(("raise", "value"))
    instance.command("run", "act")
    assert instance.oopses() == []
    out, _ = instance.command("oops", str(instance.row(job).oops_id))
    assert "ValueError: no such foo" in out
