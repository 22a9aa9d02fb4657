"""The health of sections: silence, waiting jobs, failures, jobs that nobody takes over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from health_checks import SECTIONS, check, move
from instances import Instance, wait_until


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
