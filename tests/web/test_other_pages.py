"""Sections, pauses, schedules, runs, reports, the doctor, charts."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from hosts import hold_elsewhere
from instances import Instance
from jobcron import JobStatus
from jobcron.web import application
from jobcron.web.mounting import close
from schedules import Scheduled
from web_pages import Visitor

ADA = {"REMOTE_USER": "ada"}


def run_rows(instance: Instance, *runs: tuple[str, int, int, int]) -> None:
    """Add runs: the section, how many minutes ago they ended, and what they completed and did not."""
    for name, minutes, completed, incomplete in sorted(runs, key=lambda run: -run[1]):
        end = datetime.now(UTC) - timedelta(minutes=minutes)
        start, stop = (f"{at:%Y-%m-%d %H:%M:%S.%f}+00:00" for at in (end - timedelta(seconds=8), end))
        if instance.database.dialect == "sqlite":
            start, stop = start[:26], stop[:26]
        instance.query(
            "INSERT INTO jobcron_run (name, hostname, date_started, date_completed, completed, incomplete, oopses,"
            " waited, ran) VALUES (:name, 'far', :start, :stop, :completed, :incomplete, :incomplete, :waited, 8)",
            name=name, start=start, stop=stop, completed=completed, incomplete=incomplete,
            waited=3 * (completed + incomplete),
        )  # fmt: skip


def test_the_overview_says_what_needs_attention_first(ada: Visitor, instance: Instance) -> None:
    instance.configure(sections="[act]\nsource_interface: fooapp.IActJobSource\n")
    job = instance.act(("raise", "value"))
    instance.run("act")
    words = ada.get("/").words
    assert f"Job {job} failed" in words
    assert words.index("Needs attention") < words.index("Sections Section State")
    assert "Section telling has never run" in words


def test_an_instance_in_which_nothing_is_wrong_is_well(instance: Instance) -> None:
    instance.configure(sections="[act]\nsource_interface: fooapp.IActJobSource\n")
    instance.run("act")
    app = application(str(instance.path), authorize=lambda environ: "reader")
    page = Visitor(app).get("/")
    assert "All is well." in page.words
    assert "Needs attention" not in page.words
    close(app)


def test_the_pages_say_who_runs_a_section_alone_on_all_hosts(ada: Visitor, instance: Instance) -> None:
    instance.configure(sections="[act]\nsource_interface: fooapp.IActJobSource\nlock: cluster\n")
    hold_elsewhere(instance)
    app = application(str(instance.path), authorize=lambda environ: "reader")
    for path in ("/", "/sections"):
        assert "alone on all hosts: process 4711 on far since " in Visitor(app).get(path).words
    assert "held by process 4711 on far since " in Visitor(app).get("/sections/act").words
    close(app)


def test_charts_are_made_of_runs_and_have_their_numbers_in_a_table(ada: Visitor, instance: Instance) -> None:
    run_rows(instance, ("act", 5, 6, 2), ("act", 50, 4, 0), ("do_foo", 60 * 20, 30, 0), ("act", 60 * 100, 100, 0))
    day = ada.get("/")
    assert "Jobs 42 in all" in day.words
    assert "Seconds until a job began 3.00 s on average" in day.words
    assert "Seconds a job took 0.57 s on average" in day.words  # 24 seconds for 42 jobs
    assert "Failed attempts 0 in all, 2 reports" in day.words
    assert len([tag for tag, found in day.tags if tag == "rect" and found.get("class") == "bad"]) == 1
    assert "Jobs 12 in all" in ada.get("/?window=hour").words
    assert "Jobs 142 in all" in ada.get("/?window=week").words
    assert "Jobs 12 in all" in ada.get("/sections/act").words
    assert "Nothing in the last day." in ada.get("/sections/telling").words
    assert "Jobs 42 in all" in ada.get("/?window=century").words


def test_charts_of_very_many_runs_leave_the_oldest_out_and_say_so(
    ada: Visitor, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_rows(instance, *(("act", minutes, 1, 0) for minutes in range(1, 31)))
    assert "Jobs 30 in all" in ada.get("/").words
    monkeypatch.setattr("jobcron.operations.processes.trends.RUNS", 20)
    page = ada.get("/")
    assert "Jobs 20 in all" in page.words
    assert "From the newest runs and events only: older ones of this time are left out." in page.words


def test_a_section_has_its_crontab_line_and_how_long_its_jobs_wait_and_take(
    ada: Visitor, instance: Instance
) -> None:
    assert "none runs it" not in ada.get("/sections/act").words
    jobs = [instance.act() for _ in range(20)]
    instance.run("act")
    day = "2026-01-01 00:00:{:02}.000000" + ("" if instance.database.dialect == "sqlite" else "+00:00")
    for number, job in enumerate(jobs, 1):
        instance.query(
            "UPDATE jobcron_job SET date_created = :zero, scheduled_start = :zero, date_started = :started,"
            " date_finished = :finished WHERE id = :job",
            job=job, zero=day.format(0), started=day.format(number), finished=day.format(2 * number),
        )  # fmt: skip
    page = ada.get("/sections/act").words
    assert " run act -q -q --log-file=INFO:" in page
    told = "foo_job.ACT 0 10 s 19 s 10 s 19 s 20 act"
    assert told in page
    assert told in ada.get("/sections").words
    assert "foo_job.ACT" not in ada.get("/sections/telling").words


def test_the_waiting_jobs_of_a_section_are_made_due_now(ada: Visitor, instance: Instance) -> None:
    later = instance.act(scheduled_start=datetime.now(UTC) + timedelta(days=1))
    instance.run("act")  # by which the database knows whose jobs they are
    asked = ada.send(ada.get("/sections/act"), "/act", button="run-now")
    assert "Run now: 1 job?" in asked.words
    done = ada.send(asked, "/act")
    assert "1 job was made due, 0 refused." in done.words
    assert instance.row(later).scheduled_start <= datetime.now(UTC) + timedelta(seconds=60)
    instance.run("act")
    assert instance.row(later).status is JobStatus.COMPLETED


def test_a_section_is_paused_until_a_time_and_the_pause_ended(ada: Visitor, instance: Instance) -> None:
    page = ada.get("/sections/act")
    paused = ada.send(page, "/pauses", until="2h", reason="the carrier is down")
    assert "Paused" in paused.words
    ((scope, name, actor, reason, until),) = instance.query(
        "SELECT scope, name, actor, reason, until FROM jobcron_pause"
    )
    assert (scope, name, actor, reason) == ("section", "act", "web:ada", "the carrier is down")
    assert until is not None
    assert "Paused: section act by web:ada" in ada.get("/").words
    assert "the carrier is down" in ada.get("/sections").words
    ada.send(paused, "/pauses/end")
    assert instance.query("SELECT * FROM jobcron_pause") == []
    assert "expected a section that is paused" in ada.send(paused, "/pauses/end", expect=400).words


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"until": "soon"}, "Until: expected a duration such as 2h"),
        ({"until": "2020-01-01T00:00+00:00"}, "expected a pause that ends after"),
        ({"name": "nope"}, "nope"),
        ({"scope": "moon"}, "expected section, type, queue or channel, got: 'moon'"),
    ],
)
def test_a_pause_that_cannot_be_is_refused(
    ada: Visitor, instance: Instance, values: dict[str, str], told: str
) -> None:
    page = ada.get("/sections/act")
    sent = {**dict(page.form("/pauses").fields), **values}
    assert told in ada.post("/pauses", list(sent.items()), expect=400).words
    assert instance.query("SELECT * FROM jobcron_pause") == []


def test_a_queue_is_paused_from_the_list_of_sections(ada: Visitor, instance: Instance) -> None:
    page = ada.get("/sections")
    assert "Nothing is paused." in page.words
    page = ada.send(page, "/pauses", scope="queue", name="letters", until="2999-01-01T00:00+00:00")
    assert "queue letters web:ada" in page.words
    assert "Paused: queue letters" in ada.get("/").words
    page = ada.send(page, "/pauses/end")
    assert "Nothing is paused." in page.words


def test_a_section_shows_why_its_plan_and_its_runs_page_by_page(ada: Visitor, instance: Instance) -> None:
    job = instance.act(("write", "x"))
    run_rows(instance, *(("act", minutes, 1, 0) for minutes in range(1, 56)), ("do_foo", 1, 1, 0))
    page = ada.get("/sections/act")
    assert "It runs at the next opportunity." in page.words
    assert f"/jobs/{job}" in page.links
    assert "a job took 8.00 s lately" in page.words
    (older,) = [str(found["href"]) for tag, found in page.tags if tag == "a" and found.get("rel") == "next"]
    assert page.html.count("<td>act</td>") + ada.get(older).html.count("<td>act</td>") == 55
    assert "nope" in ada.get("/sections/nope", expect=400).words


def test_sections_have_small_charts_of_their_newest_runs(ada: Visitor, instance: Instance) -> None:
    run_rows(instance, *(("act", minutes, minutes, int(minutes == 3)) for minutes in range(1, 31)))
    page = ada.get("/sections")
    rects = [found for tag, found in page.tags if tag == "rect"]
    assert len(rects) == 24
    assert [found["class"] for found in rects].count("bad") == 1
    heights = [float(str(found["height"])) for found in rects]
    assert heights == sorted(heights, reverse=True)  # the newest, which did least, is last


def test_runs_and_runners_are_shown(ada: Visitor, instance: Instance) -> None:
    run_rows(instance, *(("act", minutes, 1, 0) for minutes in range(1, 56)))
    page = ada.get("/runners")
    (older,) = [str(found["href"]) for tag, found in page.tags if tag == "a" and found.get("rel") == "next"]
    assert page.html.count("<td>act</td>") == 50
    assert ada.get(older).html.count("<td>act</td>") == 5


def test_a_worker_that_is_dead_needs_attention(ada: Visitor, instance: Instance) -> None:
    assert "Workers" not in ada.get("/runners").words
    long_ago = "2026-01-01 00:00:00.000000" + ("+00:00" if instance.database.dialect == "postgresql" else "")
    instance.query(
        "INSERT INTO jobcron_worker (name, host, pid, version, sections, processes, most_processes, is_leaving, "
        "started, seen, silent_after) "
        "VALUES ('far:7/a', '<far>', 7, '0.1', 'act do_foo', 2, 4, :no, :at, :at, :at)",
        no=False, at=long_ago,
    )  # fmt: skip
    words = ada.get("/runners").words
    assert "<far> 7 act do_foo 0 2 of 4" in words
    assert "Dead" in words
    assert "Worker <far>:7" in ada.get("/").words


def test_reports_are_grouped_by_cause_and_shown_without_secrets(ada: Visitor, instance: Instance) -> None:
    for _ in range(2):
        instance.act(("raise", "password"))
    instance.act(("raise", "value"))
    instance.run("act")
    page = ada.get("/reports")
    assert "2 ValueError password=***" in page.words
    (report,) = sorted({link for link in page.links if link.startswith("/reports/OOPS")})[:1]
    page = ada.get(report)
    assert "Traceback (most recent call last)" in page.words
    assert "job_id" in page.words
    for path in (report, "/reports", "/jobs", "/jobs/1"):
        html = ada.get(path).html
        assert "hunter2" not in html
        assert "s3cr3tpw" not in html
    assert "found none" in ada.get("/reports/OOPS-absent", expect=404).words
    assert "expected the id of a report" in ada.get("/reports/..x", expect=404).words


def test_the_doctor_names_each_trouble_with_its_remedy(ada: Visitor, instance: Instance) -> None:
    words = ada.get("/doctor").words
    assert "section act has never run" in words
    assert "jobcron" in words


def test_a_schedule_is_shown_paused_resumed_and_run(instance: Instance, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "jobcron.web")
    scheduled = Scheduled(instance)
    scheduled.define()
    scheduled.run()
    app = application(str(instance.path), authorize=lambda environ: "operator")
    ada = Visitor(app, ADA)
    assert "nightly Active" in ada.get("/schedules").words
    page = ada.get("/schedules/nightly")
    assert "0 3 * * *" in page.words
    paused = ada.send(page, "/schedules/act", button="pause", reason="the carrier is down")
    assert "Paused" in paused.words
    assert re.search(r"web:ada paused it at [-\d: ]+UTC: the carrier is down", paused.words)
    assert scheduled.row("paused_by", "paused_because") == ("web:ada", "the carrier is down")
    assert "schedule nightly paused" in ada.get("/audit").words
    assert "the carrier is down" in ada.get("/audit").words
    assert "Active" in ada.send(paused, "/schedules/act", button="resume").words
    assert scheduled.row("paused_by", "paused_because") == (None, None)
    job = ada.send(page, "/schedules/act", button="run")
    assert "Job 1 Waiting" in job.words
    assert instance.row(1).status is JobStatus.WAITING
    told = [record.getMessage() for record in caplog.records if record.name == "jobcron.web"]
    number = instance.rows()[-1].id
    assert [text.partition(";")[0] for text in told] == [
        "pause of the schedule 'nightly'",
        "resume of the schedule 'nightly'",
        f"run of the schedule 'nightly': job {number}",
    ]
    assert instance.row(number).requester == "web:ada"
    scheduled.missed_since(90_000)
    scheduled.run()
    with_slots = ada.get("/schedules/nightly").words
    assert re.search(r"Next slots By its clocks Due (\d{4}-\d\d-\d\d 03:00:00 in .*?){5}What became", with_slots)
    assert re.search(r"Decided \d{4}-\d\d-\d\d 0\d:.* (Created|Overlapped) ", with_slots)
    assert "expected the name of a schedule" in ada.get("/schedules/nope", expect=400).words
    too_long = ada.send(page, "/schedules/act", 400, button="pause", reason="x" * 1001)
    assert "expected at most 1,000 characters" in too_long.words
    token = dict(page.form("/look").fields)["jobcron_csrf"]
    sent = {"jobcron_csrf": token, "name": "nightly", "act": "explode"}
    assert "expected pause, resume or run, got: 'explode'" in ada.post("/schedules/act", sent, expect=400).words
    close(app)


def test_a_job_of_a_function_is_created_by_a_form_of_its_parameters(calling: Instance) -> None:
    app = application(str(calling.path), authorize=lambda environ: "operator")
    ada = Visitor(app, ADA)
    page = ada.get("/new?name=functionapp.export")
    arguments: dict[str, Any] = {"argument-model": "orders", "start": "2h"}
    assert "model" in page.words
    made = ada.send(page, "/new/job", **arguments)
    assert "Waiting" in made.words
    (row,) = calling.rows()
    data = json.dumps(row.json_data)
    assert "orders" in data
    assert row.requester == "web:ada"
    assert row.scheduled_start - row.date_created > timedelta(minutes=110)
    close(app)


@pytest.mark.parametrize("theme", ["dark", "light", "auto"])
def test_a_browser_keeps_its_colours(ben: Visitor, theme: str) -> None:
    page = ben.send(ben.get("/doctor"), "/look", button=theme)
    assert "Doctor" in page.words
    assert dict(page.tags)["html"]["data-theme"] == theme
    assert dict(ben.get("/").tags)["html"]["data-theme"] == theme


def test_the_colours_of_an_answer_to_a_form_are_changed_too(ada: Visitor, instance: Instance) -> None:
    asked = ada.send(ada.get(f"/jobs/{instance.act()}"), "/act", button="cancel")
    page = ada.send(asked, "/look", button="dark")
    assert "Overview" in page.words
    assert dict(page.tags)["html"]["data-theme"] == "dark"


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", ""])
def test_the_way_back_never_leads_elsewhere(ben: Visitor, back: str) -> None:
    fields = {**dict(ben.get("/").form("/look").fields), "back": back, "theme": "dark"}
    headers = {"Sec-Fetch-Site": "same-origin"}
    answer = ben.client.post("/look", data=fields, headers=headers, environ_overrides={"REMOTE_USER": "ben"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_each_field_has_a_label_and_each_name_is_there_once(ada: Visitor, app: Flask, instance: Instance) -> None:
    job = instance.act(("raise", "value"))
    instance.run("act")
    paths = ["/", "/jobs", f"/jobs/{job}", "/sections", "/sections/act", "/new?name=foo_job.DO_FOO", "/audit"]
    for path in paths:
        page = ada.get(path)
        ids = [found["id"] for _, found in page.tags if "id" in found]
        assert len(ids) == len(set(ids)), path
        labels = {found.get("for") for tag, found in page.tags if tag == "label"}
        for tag, found in page.tags:
            if tag in ("input", "select", "textarea") and found.get("type") not in ("hidden", "checkbox"):
                assert found.get("id") in labels, (path, found)
            for name in ("aria-labelledby", "aria-describedby"):
                assert name not in found or found[name] in ids, (path, found)
        assert [tag for tag, _ in page.tags if tag == "h1"] == ["h1"], path


@pytest.mark.parametrize(
    "argument", ["a=NaN", "a=1e999", r'a="\ud800"', r'a="\u0000"', "a=" + "[" * 90 + "]" * 90]
)
def test_an_argument_that_no_job_can_have_is_no_filter(ada: Visitor, argument: str) -> None:
    assert (
        "Argument (NAME=VALUE): expected"
        in ada.get(f"/jobs?{urlencode({'argument': argument})}", expect=400).words
    )


def test_a_pause_has_an_end_and_a_reason_that_can_be_shown(ada: Visitor, instance: Instance) -> None:
    page = ada.get("/sections")
    sent = {**dict(page.form("/look").fields), "scope": "queue", "name": "default"}
    late = {**sent, "until": "9999-12-31T23:59:59-14:00"}
    assert "Until: expected a duration such as 2h" in ada.post("/pauses", late, expect=400).words
    assert "at most 1,000 characters" in ada.post("/pauses", {**sent, "reason": "x" * 1001}, expect=400).words
    assert "x" * 1000 in ada.post("/pauses", {**sent, "reason": "x" * 1000}).words
    job = instance.act()
    asked = ada.send(ada.get(f"/jobs/{job}"), "/act", button="cancel")
    assert "Reason: expected at most 1,000" in ada.send(asked, "/act", expect=400, reason="x" * 1001).words


def test_channels_are_shown_with_their_jobs_and_changed_at_once(ada: Visitor, instance: Instance) -> None:
    assert "No channel" in ada.get("/channels").words
    instance.act(channel="root.export", channel_key="7")
    page = ada.send(
        ada.get("/channels"), "/channels/limits", button="set",
        name="root.export", capacity="0", per_key="2", throttle="10/1m",
    )  # fmt: skip
    assert "root.export changed by web:ada Full 0 of 0 2 0 of 10 in 1 min 1 none" in page.words
    told = "capacity, per_key, throttle, period, changed_by"
    assert instance.query(f"SELECT {told} FROM jobcron_channel") == [(0, 2, 10, 60, "web:ada")]
    ada.send(page, "/pauses", name="root.export", until="2h")
    paused = ada.get("/channels")
    assert "changed by web:ada Paused" in paused.words
    assert "changed by web:ada Paused" not in ada.send(paused, "/pauses/end").words
    ada.send(ada.get("/channels"), "/channels/limits", button="reset", name="root.export")
    assert instance.query("SELECT capacity FROM jobcron_channel WHERE capacity IS NOT NULL") == []


def test_a_channel_that_keeps_its_order_is_told_to_go_on(ada: Visitor, instance: Instance) -> None:
    page = ada.get("/channels")
    ada.send(page, "/channels/limits", button="set", name="root.export", sequential="channel")
    failing, waiting = instance.act(("raise", "value"), channel="root.export"), instance.act(channel="root.export")
    instance.run("act")
    page = ada.get("/channels")
    assert f"Full in order turn of {failing}" in page.words
    page = ada.send(page, "/channels/skip")
    assert "Open in order" in page.words
    instance.run("act")
    assert instance.row(waiting).status is JobStatus.COMPLETED


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"capacity": "-1"}, "Capacity: expected a whole number, at least 0, or nothing; got: '-1'"),
        (
            {"capacity": "0" * 12 + "9" * 30},
            "Capacity: expected a whole number, at least 0, or nothing; got: '000",
        ),
        ({"capacity": "0" * 5000}, "Capacity: expected a whole number, at least 0, or nothing; got: '000"),
        ({"per_key": "0"}, "Per key: expected a whole number, at least 1"),
        ({"throttle": "many"}, "Throttle: "),
        ({"name": "export"}, "export"),
        ({"sequential": "yes"}, "Order: expected channel, target or nothing; got: 'yes'"),
        ({"act": "swap"}, "expected set or reset, got: 'swap'"),
    ],
)
def test_limits_that_cannot_be_are_refused(
    ada: Visitor, instance: Instance, values: dict[str, str], told: str
) -> None:
    form = ada.get("/channels").form("/channels/limits")
    sent = {**dict(form.fields), "name": "root.export", "act": "set", **values}
    assert told in ada.post("/channels/limits", list(sent.items()), expect=400).words
    assert instance.query("SELECT * FROM jobcron_channel") == []
