"""The health of sections: silence, waiting jobs, failures, jobs that nobody takes over."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from force import write_by_force
from health_checks import SECTIONS, check, monitored, move
from instances import Instance, wait_until
from jobcron import Job, JobStatus, load_settings
from jobcron.queue.health import Health, check_silence
from runner_processes import configure, make
from shortleaseapp import BriefJob


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


def test_jobs_in_a_channel_that_is_paused_are_meant_to_wait(watched: Instance) -> None:
    watched.configure(sections=SECTIONS.format(act="alert_waiting: 1h 2h"))
    job = watched.act(channel="root.mail.eu")
    move(watched, "jobcron_job", "scheduled_start", 6, f"id = {job}")
    watched.command("pause", "--channel", "root.ma")
    assert "oldest ready job due 6:00:0" in check(watched, 2, "act")
    watched.command("pause", "--channel", "root.mail")
    assert "no job is ready" in check(watched, 0, "act")
    watched.command("unpause", "--channel", "root.mail")
    watched.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 1, lease_expires = date_created, attempt_count = 1"
    )
    watched.end_lease(job)
    assert "not taken over: 1 job whose process died" in check(watched, 1, "act")
    watched.command("pause", "--channel", "root.mail.eu")
    assert "no job left behind" in check(watched, 0, "act")


@pytest.mark.feature("LP-27")
def test_runs_that_end_well_and_run_nothing_while_a_job_is_ready_are_told(watched: Instance) -> None:
    watched.configure(sections=SECTIONS.format(act="alert_waiting: none"))
    job = watched.act(("write", "x"))
    move(watched, "jobcron_job", "scheduled_start", 1, f"id = {job}")
    assert "runs make progress" in check(watched, 0, "act")  # one run since: it may have begun before
    run = (
        "INSERT INTO jobcron_run (name, hostname, date_started, date_completed, completed, incomplete, oopses) "
        "SELECT name, 'there', date_started, date_completed, 0, 0, 0 FROM jobcron_run WHERE name = 'act' LIMIT 1"
    )
    watched.query(run)
    out = check(watched, 1, "act")
    assert out.startswith(
        "JOBCRON WARNING - act: no progress: the last 2 runs ran no job, although one is ready\n"
    )
    watched.query("UPDATE jobcron_source SET own_iter_ready = :own", own=True)  # then the source decides
    check(watched, 0, "act")
    watched.query("UPDATE jobcron_source SET own_iter_ready = :own", own=False)
    check(watched, 1, "act")
    watched.query("UPDATE jobcron_run SET completed = 1 WHERE id = (SELECT max(id) FROM jobcron_run)")
    check(watched, 0, "act")
    watched.query("UPDATE jobcron_run SET completed = 0")
    watched.query("UPDATE jobcron_job SET scheduled_start = :then", then="2090-01-01 00:00:00.000000")
    check(watched, 0, "act")


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
    assert out.startswith("JOBCRON WARNING - act: 1 failure in an hour, warning from 1 on\n")
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
    assert "not taken over: 1 job whose process died" in check(watched, 1)


@pytest.mark.parametrize(
    ("database_url", "end"),
    [("sqlite", "'2099-01-01 00:00:00.000000'"), ("postgresql", "'2099-01-01'"), ("postgresql", "'infinity'")],
    indirect=["database_url"],
)
def test_a_lease_that_no_code_gives_is_told_and_can_be_ended(watched: Instance, end: str) -> None:
    job = watched.act(("write", "x"))
    write_by_force(watched, job, lease_expires=end, lease_token="1", status="1", attempt_count="1")
    assert f"jobs under a lease that no code gives: {job}" in check(watched, 1)
    move(watched, "jobcron_run", "date_started", 9)
    log = watched.run("act")
    assert "WARNING Jobs that run under a lease that no code gives" in log
    assert watched.row(job).status is JobStatus.RUNNING
    with watched.session() as session:
        session.get_one(Job, job).endLease()
    watched.run("act")
    assert watched.row(job).status is JobStatus.COMPLETED
    assert watched.events(job) == ["lease ended", "taken over"]


def test_whether_a_lease_is_too_long_is_decided_by_the_class_of_its_job(instance: Instance) -> None:
    configure(instance)
    instance.run("telling")  # from now on the sources are known
    brief, usual = make(instance, BriefJob), instance.act()  # leases of 1.5 seconds and of five minutes
    end = {
        "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '+12 minutes')",
        "postgresql": "now() + interval '12 minutes'",
    }[instance.database.dialect]
    instance.query(f"UPDATE jobcron_job SET status = 1, lease_token = 1, attempt_count = 1, lease_expires = {end}")
    instance.query("DELETE FROM jobcron_run")
    log = instance.run("telling")
    assert f"under a lease that no code gives: {brief}. If" in log
    assert f"gives: {usual}." not in log


def hang(instance: Instance, hours: float) -> int:
    """Commit a job that has been running for hours, and whose lease is renewed."""
    job = instance.act(("write", "x"))
    later = {
        "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '+6 days')",
        "postgresql": "now() + interval '6 days'",
    }[instance.database.dialect]
    now = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')", "postgresql": "now()"}[instance.database.dialect]
    instance.query(
        f"UPDATE jobcron_job SET status = 1, date_started = {now}, lease_expires = {later}, lease_token = 1 "
        "WHERE id = :job",
        job=job,
    )
    move(instance, "jobcron_job", "date_started", hours, f"id = {job}")
    return job


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize(("hours", "status"), [(0.9, 0), (1.1, 1), (5, 2)])
def test_a_job_that_hangs_is_alarmed_though_its_lease_is_renewed(
    watched: Instance, hours: float, status: int
) -> None:
    job = hang(watched, hours)
    out = check(watched, status)
    assert f"job {job} has been running for {int(hours)}:" in out
    assert "OK       do_foo" in out


@pytest.mark.feature("LP-27")
def test_jobs_that_usually_take_long_may_run_for_longer(watched: Instance) -> None:
    hang(watched, 5)
    check(watched, 2, "act")
    watched.query("UPDATE jobcron_run SET completed = 1 WHERE name = 'act'")
    move(watched, "jobcron_run", "date_started", 1, "name = 'act'")  # its job took an hour
    check(watched, 0, "act")


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize(("limit", "status"), [("hours=4", 0), ("hours=3", 1), ("minutes=1", 2)])
def test_a_class_with_a_time_limit_is_judged_by_it(watched: Instance, limit: str, status: int) -> None:
    (watched.path / "limitedapp.py").write_text(
        f"import datetime, fooapp\nfooapp.ActJob.time_limit = datetime.timedelta({limit})\n"
    )
    path = watched.path / "jobcron.conf"
    text = path.read_text().replace("python_path:", f"python_path: {watched.path}")
    path.write_text(text.replace("fooapp:register", "limitedapp"))
    hang(watched, 5)
    monitored(watched, status, "act")


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize(("limits", "status"), [("2h 9h", 1), ("1h 2h", 2), ("6h 7h", 0), ("none", 0)])
def test_how_long_a_job_may_run_can_be_configured(watched: Instance, limits: str, status: int) -> None:
    watched.configure(sections=SECTIONS.format(act=f"alert_running: {limits}"))
    hang(watched, 5)
    check(watched, status, "act")


@pytest.mark.feature("LP-27")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("since", "hours", "health"),
    [
        ("2026-10-24T22:00", 25.2, Health.OK),  # midnight in Berlin; the next day begins 25 hours later
        ("2026-10-24T22:00", 25.6, Health.WARNING),
        ("2026-10-23T22:00", 24.2, Health.OK),
        ("2026-10-23T22:00", 25.2, Health.WARNING),
        ("2026-03-28T23:00", 24.6, Health.WARNING),  # the clocks are set forward: nobody waits longer
    ],
)
def test_a_night_of_25_hours_is_no_silence(
    watched: Instance, monkeypatch: pytest.MonkeyPatch, since: str, hours: float, health: Health
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    last = datetime.fromisoformat(since).replace(tzinfo=UTC)
    watched.query(f"UPDATE jobcron_run SET date_completed = '{last:%Y-%m-%d %H:%M:%S}.000000'")
    settings = load_settings(str(watched.path))
    try:
        with watched.database.begin() as connection:
            found = check_silence(connection, settings, settings.section("do_foo"), last + timedelta(hours=hours))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found.health is health, found.text
