"""Lists of jobs, a job, and what is done to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import fooapp
from instances import Instance
from jobcron import JobStatus, chain, group
from jobcron.operations.acts import Bulk, act_on_selection, cancel
from jobcron.operations.selection import Selection
from query_cost import noted_statements
from web_pages import Page, Visitor

PAST = "'2026-11-30 07:00:00.000000'"

FAILED = {"status": "3", "date_created": PAST, "date_started": PAST, "date_finished": PAST, "attempt_count": "1"}


@pytest.fixture
def jobs(instance: Instance) -> list[int]:
    """Return a job that has failed, one that has completed, one that waits, and one that is suspended."""
    numbers = [instance.act(("raise", "value"), description="Draw the map"), instance.act(("write", "x"))]
    instance.run("act")
    numbers += [instance.act(("write", "y"), priority=5), instance.act(("raise", "suspend"))]
    instance.query("UPDATE jobcron_job SET status = 4 WHERE id = :id", id=numbers[3])
    return numbers


def listed(page: Page) -> list[int]:
    """Return the numbers of the jobs of a list, from the top."""
    return [int(str(found["value"])) for tag, found in page.tags if tag == "input" and found.get("name") == "id"]


def test_an_instance_without_jobs_says_so(ada: Visitor) -> None:
    assert "No job yet" in ada.get("/jobs").words
    assert "Nobody runs jobs now" in ada.get("/runners").words
    assert "No report" in ada.get("/reports").words
    assert "Nobody has done anything by hand" in ada.get("/audit").words
    assert "No schedule" in ada.get("/schedules").words


@pytest.mark.feature("OCQ-13")
@pytest.mark.feature("DJF-08")
def test_the_list_has_tabs_with_counts_and_each_is_a_link(ada: Visitor, jobs: list[int]) -> None:
    failed, completed, waiting, suspended = jobs
    page = ada.get("/jobs")
    assert listed(page) == jobs[::-1]
    assert "Waiting 1 Running 0 Completed 1 Failed 1 Suspended 1 Cancelled 0 Expired 0 Blocked 0" in page.words
    assert listed(ada.get("/jobs?status=failed")) == [failed]
    assert listed(ada.get("/jobs?status=pending")) == [suspended, waiting]
    assert "/jobs?status=failed" in page.links


@pytest.mark.feature("OCQ-13")
@pytest.mark.feature("DJF-08")
def test_filters_are_those_of_the_commands_and_stay_in_the_links(ada: Visitor, jobs: list[int]) -> None:
    failed, *_ = jobs
    for query in (
        "error=no+such",
        "type=foo_job.ACT&status=failed",
        "section=act&error=such",
        "ended_within=1h&status=failed",
    ):
        assert listed(ada.get(f"/jobs?{query}")) == [failed], query
    page = ada.get("/jobs?section=act&queue=default")
    assert "/jobs?section=act&queue=default&status=failed" in page.links
    assert "/jobs?queue=default" in page.links
    assert listed(ada.send(page, "/jobs", error="no such")) == [failed]
    assert "No job fits" in ada.get("/jobs?queue=other").words


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("status=lost", "status: expected one of waiting"),
        ("older_than=soon", "Created before: expected a duration such as 30s, 10m or 2d, got: 'soon'"),
        ("target=1", "Target (CLASS:KEY): expected CLASS:KEY"),
        ("argument=x", "Argument (NAME=VALUE): expected NAME=VALUE"),
        ("section=nope", "Section: "),
        ("type=foo_job.AKT", "Type: expected a job type that the database knows, got: foo_job.AKT; it knows: "),
        ("type=foo_job.AKT", "; did you mean foo_job.ACT?"),
        ('argument=a"=1', "Argument (NAME=VALUE): expected the name of an argument without quotes"),
        (f"error={'x' * 10_001}", "Error has the text: expected at most 10,000 characters, got: 10,001"),
        (f"channel={'x' * 60_000}", "Channel: expected at most 10,000 characters, got: 60,000"),
    ],
)
def test_a_wrong_filter_is_told_and_shows_no_job(ada: Visitor, jobs: list[int], query: str, told: str) -> None:
    page = ada.get(f"/jobs?{query}", expect=400)
    assert told in page.words
    assert listed(page) == []


@pytest.mark.feature("OCQ-13")
@pytest.mark.feature("DJF-08")
def test_jobs_are_grouped_and_each_group_is_a_link_to_its_list(
    ada: Visitor, instance: Instance, jobs: list[int]
) -> None:
    instance.query("UPDATE jobcron_job SET queue = 'letters' WHERE id = :id", id=jobs[0])
    page = ada.get("/jobs?section=act")
    assert "/jobs?group=queue&section=act" in page.links
    page = ada.get("/jobs?group=queue&section=act")
    assert "3 default 1 letters" in page.words
    assert listed(ada.get("/jobs?section=act&queue=letters")) == [jobs[0]]
    assert "/jobs?section=act&queue=letters" in page.links
    day = f"{instance.row(jobs[0]).date_created:%Y-%m-%d}"
    assert f"4 {day}" in ada.get("/jobs?group=day").words
    assert listed(ada.get(f"/jobs?created_on={day}")) == jobs[::-1]
    assert listed(ada.get("/jobs?created_on=2020-01-01")) == []
    assert "1 ValueError: no such foo" in ada.get("/jobs?group=error").words
    assert listed(ada.get("/jobs?error=ValueError: no such foo")) == [jobs[0]]
    assert "4 none" in ada.get("/jobs?group=requester").words
    assert "4 act" in ada.get("/jobs?group=section").words
    assert "4 none" in ada.get("/jobs?group=channel").words
    assert "expected one of type, section, queue" in ada.get("/jobs?group=moon", expect=400).words


def test_jobs_are_listed_in_the_orders_that_an_index_serves(ada: Visitor, instance: Instance) -> None:
    first = instance.act()
    instance.multiply(first, 120, priority="10 - n % 3")
    rows = sorted(instance.rows(), key=lambda row: (row.priority, row.scheduled_start, row.id))
    orders = {
        "?order=oldest&type=foo_job.ACT": sorted(row.id for row in rows),
        "?order=start&status=waiting": [row.id for row in rows],
    }
    for query, expected in orders.items():
        page, found = ada.get(f"/jobs{query}"), []
        while True:
            found += listed(page)
            following = [found for tag, found in page.tags if tag == "a" and found.get("rel") == "next"]
            if not following:
                break
            page = ada.get(str(following[0]["href"]))
        assert found == expected, query
        assert "data-live" not in page.html, "only the first page follows what happens"
    assert "As they start" in ada.get("/jobs?status=waiting").words
    assert "As they start" not in ada.get("/jobs?status=failed").words
    refused = ada.get("/jobs?order=start", expect=400)
    assert "As they start: expected the status waiting" in refused.words
    for wrong in ("x", "1_2", "1_2_3_4", "9999999999_1_1", f"1_{10**17 * 9}_1", "٣_1_1", "1_1_-1", "<script>"):
        refused = ada.get(f"/jobs?order=start&status=waiting&after={wrong}", expect=400)
        assert "after: expected the place of a job" in refused.words
    far = ada.get("/jobs?order=start&status=waiting&after=1999999999_0_1")
    assert listed(far) == []
    assert listed(ada.get("/jobs?order=moon")) == listed(ada.get("/jobs"))


def test_pages_go_on_by_number(ada: Visitor, instance: Instance) -> None:
    first = instance.act()
    instance.multiply(first, 60, priority="10")
    page, found = ada.get("/jobs"), []
    while True:
        found += listed(page)
        older = [str(a["href"]) for tag, a in page.tags if tag == "a" and a.get("rel") == "next"]
        if not older:
            break
        page = ada.get(older[0])
    assert found == sorted(set(found), reverse=True)
    assert len(found) == 61


@pytest.mark.feature("DJF-08")
def test_a_search_finds_numbers_uuids_reports_and_errors(
    ada: Visitor, instance: Instance, jobs: list[int]
) -> None:
    failed = instance.row(jobs[0])
    form = ada.get("/jobs")
    for text in (failed.id, f"#{failed.id}", failed.uuid):
        assert f"Job {failed.id} Failed" in ada.send(form, "/search", q=text).words
    assert failed.oops_id is not None
    for text in (failed.oops_id, "no such foo"):
        assert listed(ada.send(form, "/search", q=text)) == [failed.id]
    absent = ada.send(form, "/search", expect=404, q="0a0a0a0a-0a0a-4a0a-8a0a-0a0a0a0a0a0a")
    assert "found none" in absent.words


def test_a_job_is_shown_with_its_reasons_history_error_and_arguments(ada: Visitor, jobs: list[int]) -> None:
    page = ada.get(f"/jobs/{jobs[0]}")
    assert "Draw the map" in page.words
    assert "Failed" in page.words
    assert "jobcron retry" in page.words
    assert "ValueError: no such foo" in page.words
    assert "Foo" in page.words
    assert '"raise"' in page.words
    assert [link for link in page.links if link.startswith("/reports/OOPS-")]
    assert "No such job" not in page.words
    assert "expected a job with the number 999999, found none" in ada.get("/jobs/999999", expect=404).words


@pytest.mark.parametrize("number", ["0", str(2**63), "9" * 400, "9" * 5000])
def test_numbers_that_no_row_can_have_are_not_found(ada: Visitor, jobs: list[int], number: str) -> None:
    ada.get(f"/jobs/{number}", expect=404)
    assert listed(ada.get(f"/jobs?below={number}")) == jobs[::-1]
    assert "Done" not in ada.get(f"/jobs/{jobs[0]}?act={number}").words
    ada.get(f"/runners?below=-{number}")


def test_only_what_a_job_can_become_is_offered(ada: Visitor, jobs: list[int]) -> None:
    offered = [[name for _, name, _ in ada.get(f"/jobs/{job}").form("/act").buttons] for job in jobs]
    assert offered == [
        ["retry", "set-done", "delete"],
        ["retry", "delete"],
        ["run-now", "suspend", "postpone", "priority", "move", "set-done", "cancel"],
        ["retry", "run-now", "resume", "postpone", "priority", "move", "set-done", "cancel"],
    ]


@pytest.mark.parametrize(
    ("place", "act", "values", "status"),
    [
        (0, "retry", {"spread": "10m"}, JobStatus.WAITING),
        (0, "set-done", {}, JobStatus.COMPLETED),
        (2, "suspend", {}, JobStatus.SUSPENDED),
        (2, "cancel", {}, JobStatus.CANCELLED),
        (3, "resume", {}, JobStatus.WAITING),
    ],
)
def test_a_job_is_moved_from_its_page_and_moved_back(
    ada: Visitor,
    instance: Instance,
    jobs: list[int],
    place: int,
    act: str,
    values: dict[str, Any],
    status: JobStatus,
) -> None:
    job = jobs[place]
    before = instance.row(job).status
    asked = ada.send(ada.get(f"/jobs/{job}"), "/act", button=act)
    assert "1 job?" in asked.words
    assert instance.row(job).status is before
    done = ada.send(asked, "/act", **values)
    assert f"Done: {act} by web:ada" in done.words
    assert instance.row(job).status is status
    asked = ada.send(ada.get("/audit"), "/undo")
    assert "Undo act 1: 1 job? They become what they were before." in asked.words
    assert f"Act {act} by web:ada" in asked.words
    assert instance.row(job).status is status, "it is asked first"
    undone = ada.send(asked, "/undo")
    assert "1 job was put back, 0 refused" in undone.words
    assert instance.row(job).status is before


def test_a_job_is_postponed_moved_and_given_another_priority(
    ada: Visitor, instance: Instance, jobs: list[int]
) -> None:
    page = ada.get(f"/jobs/{jobs[2]}")
    ada.send(ada.send(page, "/act", button="postpone"), "/act", by="2h")
    ada.send(ada.send(page, "/act", button="priority"), "/act", priority="-3")
    ada.send(ada.send(page, "/act", button="move"), "/act", queue_to="letters")
    asked = ada.send(page, "/act", button="move")
    ada.send(asked, "/act", channel_to="root.mail.eu")
    found = ada.get("/jobs?channel=root.mail")
    assert [number for number in jobs if f'/jobs/{number}"' in found.html] == [jobs[2]]
    assert "Channel root.mail.eu" in ada.get(f"/jobs/{jobs[2]}").words
    row = instance.row(jobs[2])
    assert row.channel == "root.mail.eu"
    assert timedelta(minutes=110) < row.scheduled_start - row.date_created < timedelta(minutes=130)
    assert (row.priority, row.queue_name) == (-3, "letters")
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("postpone", {"by": "soon"}, "expected a duration such as 2h"),
        ("priority", {"priority": "high"}, "Priority: expected a whole number"),
        ("move", {"queue_to": ""}, "queue"),
        ("move", {"queue_to": "letters", "channel_to": "root"}, "expected a queue or a channel, got both"),
        (
            "move",
            {"channel_to": "mail"},
            "expected the name of a channel such as root.export (root, or root. and names",
        ),
        ("run-now", {"spread": "x"}, "Spread over: expected a duration"),
    ]
    for act, values, told in wrong:
        asked = ada.send(page, "/act", button=act)
        assert told in ada.send(asked, "/act", expect=400, **values).words


def test_a_job_is_deleted(ada: Visitor, jobs: list[int]) -> None:
    asked = ada.send(ada.get(f"/jobs/{jobs[1]}"), "/act", button="delete")
    assert "This cannot be undone." in asked.words
    done = ada.send(asked, "/act").words
    assert "1 job was deleted, 0 refused." in done
    assert "Act 1" in done
    assert "can be undone" not in done
    ada.get(f"/jobs/{jobs[1]}", expect=404)
    audit = ada.get("/audit")
    assert f"web:ada delete jobs {jobs[1]}" in audit.words
    assert "/audit/1/undo" not in audit.html
    assert "undone" not in audit.words.partition("Jobs that have moved")[0]
    token = dict(ada.get("/").form("/look").fields)["jobcron_csrf"]
    refused = ada.post("/audit/1/undo", {"jobcron_csrf": token}, 400).words
    assert "cannot be undone: what was deleted does not come back" in refused


@pytest.mark.feature("OCQ-13")
def test_of_a_choice_the_refused_are_told_with_the_reason(
    ada: Visitor, instance: Instance, jobs: list[int]
) -> None:
    asked = ada.send(ada.get("/jobs"), "/act", button="retry", id=jobs)
    assert "Retry: 4 jobs?" in asked.words
    done = ada.send(asked, "/act", reason="mended")
    assert "3 jobs were requeued, 1 refused." in done.words
    assert "it is WAITING" in done.words
    assert {row.status for row in instance.rows()} == {JobStatus.WAITING}


def test_all_that_match_are_moved_after_their_number_is_confirmed(
    ada: Visitor, instance: Instance, jobs: list[int]
) -> None:
    instance.multiply(jobs[0], 120, **FAILED)
    asked = ada.send(ada.get("/jobs?status=failed&queue=default"), "/act", button="cancel", all="yes", expect=200)
    assert "Cancel: 121 jobs?" in asked.words
    asked = ada.send(ada.get("/jobs?status=failed&queue=default"), "/act", button="retry", all="yes")
    assert "Retry: 121 jobs?" in asked.words
    assert "Queue default" in asked.words
    done = ada.send(asked, "/act")
    assert "121 jobs were requeued, 0 refused." in done.words
    assert {row.status for row in instance.rows()} == {
        JobStatus.WAITING, JobStatus.COMPLETED, JobStatus.SUSPENDED
    }  # fmt: skip


def test_what_is_moved_are_the_jobs_that_were_counted(ada: Visitor, instance: Instance, jobs: list[int]) -> None:
    asked = ada.send(ada.get("/jobs?status=waiting"), "/act", button="suspend", all="yes")
    assert "Suspend: 1 job?" in asked.words
    later = instance.act(("write", "z"))
    done = ada.send(asked, "/act")
    assert "1 job was suspended, 0 refused." in done.words
    assert instance.row(later).status is JobStatus.WAITING, "it was not there when the number was told"

    asked = ada.send(ada.get("/jobs?status=waiting"), "/act", button="cancel", all="yes")
    assert "Cancel: 1 job?" in asked.words
    instance.query("UPDATE jobcron_job SET status = 0 WHERE id = :id", id=jobs[3])
    again = ada.send(asked, "/act")
    assert "Cancel: 2 jobs? More jobs match now." in again.words
    assert instance.row(later).status is JobStatus.WAITING
    assert "2 jobs were cancelled" in ada.send(again, "/act").words

    token = dict(ada.get("/").form("/look").fields)["jobcron_csrf"]
    sent = {"jobcron_csrf": token, "act": "retry", "confirmed": "yes", "status": "failed", "all": "yes"}
    assert "Retry: 1 job?" in ada.post("/act", sent).words
    assert instance.row(jobs[0]).status is JobStatus.FAILED, "a number that was never told is not confirmed"


def test_what_is_confirmed_in_two_windows_is_done_once(ada: Visitor, instance: Instance, jobs: list[int]) -> None:
    others = [instance.act() for _ in range(3)]
    first, second = (ada.send(ada.get("/jobs"), "/act", button=act, id=others) for act in ("cancel", "suspend"))
    for act in ("cancel", "delete"):
        ada.send(ada.send(ada.get(f"/jobs/{others[0]}"), "/act", button=act), "/act")
    assert "2 jobs were cancelled, 1 refused." in ada.send(first, "/act").words
    assert "0 jobs were cancelled, 3 refused." in ada.send(first, "/act").words
    assert "0 jobs were suspended, 3 refused." in ada.send(second, "/act").words
    assert [instance.row(job).status for job in others[1:]] == [JobStatus.CANCELLED] * 2
    names = [name for (name,) in instance.query("SELECT name FROM jobcron_act ORDER BY id")]
    assert [name.partition(" ")[0] for name in names] == ["cancel", "delete", "cancel"]


def test_so_many_are_moved_at_once_and_the_rest_is_told(
    ada: Visitor, instance: Instance, jobs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("_acts", "_pages.acts", "_pages.audit"):
        monkeypatch.setattr(f"jobcron.web.{module}.MOST", 10)
    instance.multiply(jobs[0], 20, **FAILED)
    asked = ada.send(ada.get("/jobs?status=failed"), "/act", button="retry", all="yes")
    assert "10 are done at once" in asked.words
    done = ada.send(asked, "/act")
    assert "10 jobs were requeued, 0 refused." in done.words
    assert "There may be more." in done.words
    again = ada.send(asked, "/act")
    assert "10 jobs were requeued, 0 refused." in again.words
    rest = ada.send(asked, "/act")
    assert "1 job was requeued, 0 refused." in rest.words
    assert "There may be more." not in rest.words


def test_nothing_is_moved_without_a_choice_or_a_filter(ada: Visitor, instance: Instance, jobs: list[int]) -> None:
    token = dict(ada.get("/").form("/look").fields)["jobcron_csrf"]
    given = [("", ""), ("all", "yes"), ("status", "failed"), ("id", "x"), ("id", "-1"), ("id", str(2**63))]
    for name, value in given:
        sent = {"jobcron_csrf": token, "act": "retry", "confirmed": "yes", name: value}
        assert "Choose some jobs" in ada.post("/act", sent, expect=400).words
    sent = {"jobcron_csrf": token, "act": "explode", "confirmed": "yes", "id": str(jobs[0])}
    assert "expected one of retry, run-now" in ada.post("/act", sent, expect=400).words
    assert instance.row(jobs[0]).status is JobStatus.FAILED


def test_what_somebody_else_has_done_is_in_the_audit(ada: Visitor, instance: Instance, jobs: list[int]) -> None:
    how = Bulk(actor="carl@host", reason="no longer needed")
    list(act_on_selection(instance.database, cancel(), Selection(ids=(jobs[2],)), how))
    words = ada.get("/audit").words
    assert "carl@host cancel 1 no longer needed" in words
    ada.send(ada.send(ada.get("/audit"), "/undo"), "/undo")
    assert "undone" in ada.get("/audit").words
    token = dict(ada.get("/").form("/look").fields)["jobcron_csrf"]
    assert "expected the number of an act" in ada.post("/audit/999/undo", {"jobcron_csrf": token}, 400).words


def test_a_job_that_runs_shows_its_progress_and_refreshes(
    ada: Visitor, instance: Instance, jobs: list[int]
) -> None:
    job = jobs[2]
    instance.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 1, claimed_by = 'far.example:7', attempt_count = 1, "
        "date_started = date_created, lease_expires = date_created WHERE id = :id", id=job,
    )  # fmt: skip
    page = ada.get(f"/jobs/{job}")
    assert f"Job {job} Running" in page.words
    assert [found for tag, found in page.tags if tag == "main" and "data-live" in found]
    page = ada.get(f"/jobs/{jobs[1]}")
    assert not [found for tag, found in page.tags if tag == "main" and "data-live" in found]
    assert "far.example 7" in ada.get("/runners").words
    assert "Runner far.example:7 a lease is past" in ada.get("/").words


@pytest.mark.parametrize("times", [0, 200])
def test_the_list_takes_as_many_statements_for_many_jobs_as_for_few(
    ada: Visitor, instance: Instance, jobs: list[int], times: int
) -> None:
    if times:
        instance.multiply(jobs[0], times, **FAILED)
    ada.get("/jobs")
    with noted_statements() as noted:
        ada.get("/jobs")
    assert len(noted) <= 15, "\n".join(text for text, _ in noted)


@pytest.mark.feature("OCQ-13")
def test_a_job_is_created_by_a_form_of_its_arguments(ada: Visitor, instance: Instance) -> None:
    page = ada.send(ada.get("/new"), "/new", name="foo_job.DO_FOO")
    with instance.session() as session:
        foo = fooapp.Foo(name="new")
        session.add(foo)
        session.flush()
        number = foo.id
    made = ada.send(page, "/new/job", target=number, priority="3", description="By hand", start="1h")
    assert "By hand" in made.words
    (row,) = instance.rows()
    assert (row.requester, row.priority, row.description) == ("web:ada", 3, "By hand")
    refused = ada.send(page, "/new/job", target="99999", expect=400)
    assert "It was not created." in refused.words
    assert "99999" in dict(refused.form("/new/job").fields)["target"]
    assert "expected a target, the primary key of a fooapp.Foo" in ada.send(page, "/new/job", expect=400).words
    instance.query("CREATE UNIQUE INDEX one_job_of_a_foo ON foo_job (foo_id)")
    refused = ada.send(page, "/new/job", target=number, expect=400)
    assert "It was not created. The database refuses it: " in refused.words
    assert "INSERT" not in refused.html
    assert len(instance.rows()) == 1
    assert "Not a valid integer value" in ada.send(page, "/new/job", target=number, priority="x", expect=400).words
    ada.get("/new?name=nothing", expect=400)


def test_the_log_tells_what_was_done_when_it_is_done(
    ada: Visitor, instance: Instance, jobs: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "jobcron.web")

    def told() -> list[str]:
        found = [record.getMessage() for record in caplog.records if record.name == "jobcron.web"]
        caplog.clear()
        return found

    ada.send(ada.send(ada.get("/jobs"), "/act", button="delete", id=jobs[1:3]), "/act")
    which = f"{jobs[1]}, {jobs[2]}"
    assert told() == [f"delete of jobs {which}: 1 deleted, 1 refused, act 1; by web:ada from 127.0.0.1"]
    asked = ada.send(ada.get("/jobs?status=waiting&queue=default"), "/act", button="suspend", all="yes")
    assert told() == [], "nothing has been done yet"
    ada.send(asked, "/act")
    filters = "{'status': 'waiting', 'queue': 'default'}"
    assert told() == [
        f"suspend of jobs up to {jobs[3]} with {filters}: 1 suspended, 0 refused, act 2; by web:ada from 127.0.0.1"
    ]
    ada.send(ada.send(ada.get("/audit"), "/undo"), "/undo")
    assert told() == ["undo of act 2: 1 put back, 0 refused, act 2; by web:ada from 127.0.0.1"]
    sent = {**dict(ada.get("/").form("/look").fields), "scope": "queue", "name": "default", "reason": "cats"}
    ada.post("/pauses", sent)
    (pause,) = told()
    assert pause.startswith("queue default is paused by web:ada since ")
    assert pause.endswith(": cats; by web:ada from 127.0.0.1")
    ada.post("/pauses/end", sent)
    assert told() == ["end of the pause of the queue 'default'; by web:ada from 127.0.0.1"]
    ada.post("/pauses/end", sent, expect=400)
    (failed,) = told()
    assert failed.startswith("end_pause, which failed with ConfigurationError: expected a queue that is paused")


def test_a_job_is_drawn_between_those_that_it_waits_for_and_those_that_wait_for_it(
    ada: Visitor, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with instance.session() as session:
        planned = [fooapp.DoFooJob.planned(instance.foo(session)) for _ in range(12)]
        made = chain(group(*planned[:10]), *planned[10:]).create(session=session)
    *before, here, after = [made[job] for job in planned]
    instance.command("cancel", str(before[0]))
    page = ada.get(f"/jobs/{here}")
    boxes = [found["href"] for tag, found in page.tags if tag == "a" and "box" in str(found.get("class")).split()]
    assert [str(href).rpartition("/")[2] for href in boxes] == [str(job) for job in [*before[:8], here, after]]
    drawn = [found for tag, found in page.tags if tag == "path" and "edge" in str(found.get("class")).split()]
    assert len(drawn) == 9
    assert f"Job {here} waits for success of job {before[0]}: not yet" in page.words
    assert "Table, with 2 more" in page.words
    assert f"{before[9]} before Waiting success no" in page.words
    assert f"{after} after Blocked success no" in page.words
    whole = ada.get(f"/jobs?graph={after}")
    assert all(f'/jobs/{job}"' in whole.html for job in (*before, here, after))
    assert (
        "In the graph of job: expected the number of a job, got: 'x'" in ada.get("/jobs?graph=x", expect=400).words
    )
    assert "it has more" not in whole.words
    monkeypatch.setattr("jobcron.operations._rows.search.NEAREST", 5)
    cut = ada.get(f"/jobs?graph={after}")
    assert "Of this graph the 10,000 nearest jobs have been looked at: it has more." in cut.words
    alone = instance.act()
    assert "Its place in the graph" not in ada.get(f"/jobs/{alone}").words
