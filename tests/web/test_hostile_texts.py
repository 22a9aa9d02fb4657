"""Whatever a job says is shown as text: no markup, no secret, no invisible character, on no page."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from instances import Instance
from jobcron import JobStatus
from jobcron.operations.grouping import GROUPED_BY
from web_pages import Page, Visitor
from web_paths import every_page

MARK = "zq9"
"""Is in every hostile text, so that the test knows where it is shown."""

HOSTILE = (
    f"<script>{MARK}()</script>",
    f"</script><script>{MARK}()</script>",
    f"</textarea></select></title><img src=x onerror={MARK}()>",
    f'" onmouseover="{MARK}()" x="',
    f"' onfocus='{MARK}()' autofocus '",
    f"javascript:{MARK}()",
    f"{{{{ {MARK} }}}}{{% raw %}}",
    f"<!--{MARK}",
    f"]]>{MARK}<![CDATA[",
    f"&lt;script&gt;{MARK}&amp;",
    f"\u202e{MARK}\u2066\u200b",
    f"\x1b[31m{MARK}\x07\x00\x7f",
    f"<svg/onload={MARK}()>",
    f"{MARK}" + "a" * 50_000,
    f"{MARK} \ud800 lone",
    f"<form action=//evil.example>{MARK}<button>",
    f"<base href=//evil.example/>{MARK}",
    f"<a hx-get=//evil.example hx-trigger=load>{MARK}</a>",
)

SECRETS = ("hunter2222", "s3cr3tpw")

INVISIBLE = "\u202e\u2066\u200b\x1b\x07\x00\x7f"

TAGS = """
html head meta title link script body a header img span strong small nav div p form input button label main
section h1 h2 ul ol li table thead tbody tr th td dl dt dd pre code svg rect line circle path g details summary
br figure figcaption time textarea select option datalist fieldset legend progress meter text tspan
"""
"""The tags that pages have."""

ATTRIBUTES = """
lang data-theme charset name content rel href type src defer class id role aria-label aria-labelledby aria-current
aria-pressed aria-describedby aria-hidden for placeholder autocomplete required action method value hidden tabindex
data-live hx-get hx-trigger hx-select hx-swap width height alt title datetime scope viewbox x y x1 y1 x2 y2 cx cy
r rx d preserveaspectratio open checked selected list rows min max
"""
"""The attributes that they have."""


def check(page: Page, path: str) -> None:
    """Fail where a text has become markup, a secret is shown, or something invisible."""
    assert page.faults == [], f"{path}: {page.faults}"
    assert page.open == [], path
    for tag, attributes in page.tags:
        assert tag in TAGS.split(), f"{path}: <{tag}>"
        assert attributes.keys() <= set(ATTRIBUTES.split()), f"{path}: <{tag} {attributes.keys()}>"
        for name in ("href", "src", "action"):
            address = attributes.get(name) or ""
            assert address.startswith(("/", "#", "https://kept.example/")) or not address, f"{path}: {address!r}"
        if tag == "script":
            assert (attributes.get("src") or "").startswith("/static/"), path
    for secret in SECRETS:
        assert secret not in page.html, path
    # A field has what somebody wrote into it, as it is: nobody else reads it there.
    read = [text for _, found in page.tags for name, text in found.items() if text and name != "value"]
    for character in INVISIBLE:
        assert character not in " ".join([page.words, *read]), f"{path}: {character!r}"


def store(instance: Instance, job: int, texts: list[str]) -> None:
    """Put texts into every column and file that a job's code can write."""
    stored = [text.encode("utf-8", "replace").decode().replace("\0", "\\0") for text in texts]
    a, b, c, d, e, f = stored
    data = {"do": [[a, {b: c}]], a: b, "password": "hunter2222", "url": "postgresql://me:s3cr3tpw@host/db"}
    instance.query(
        "UPDATE jobcron_job SET log = :log, description = :description, requester = :requester, result = :result, "
        "unique_key = :key, json_data = :data, queue = :queue, claimed_by = :claimed, target_id = :target, "
        "target_type = :type WHERE id = :id",
        id=job, log=f"Traceback\n{a}\npassword=hunter2222 at postgresql://me:s3cr3tpw@host/db\n{b}",
        description=c[:500], requester=d[:200], result=json.dumps(e), key=None, data=json.dumps(data),
        queue=f[:60], claimed=a[:200], target=b[:100], type=c[:100],
    )  # fmt: skip
    now = instance.query("SELECT date_created FROM jobcron_job WHERE id = :id", id=job)[0][0]
    for actor, kind, detail in ((a, "failed", b), (c, d[:30], f"token=hunter2222 {e}"), ("x", "retry", f)):
        instance.query(
            "INSERT INTO jobcron_event (job, at, actor, kind, detail, lease_token) "
            "VALUES (:job, :at, :actor, :kind, :detail, 1)",
            job=job, at=now, actor=actor[:200], kind=kind, detail=detail[:2000],
        )  # fmt: skip


def write_report(instance: Instance, texts: list[str]) -> None:
    """Put texts into every part of a report."""
    a, b, c, d, e, f = texts
    folder = instance.state / "oops" / f"{datetime.now(UTC):%Y-%m-%d}"
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "id": "OOPS-hostile", "type": a, "value": f"{b} password=hunter2222", "time": "2026-11-30T00:00:00",
        "hostname": c, "reporter": d, "duration": 1.5, "tb_text": [e, f"postgresql://me:s3cr3tpw@host/db {f}"],
        "req_vars": {a: b, "api_token": "hunter2222", c: {d: [e]}},
        "timeline": [[0, 1, a, f"{b} password='s3cr3tpw'"]],
    }  # fmt: skip
    (folder / "OOPS-hostile").write_text(json.dumps(report))


@pytest.mark.parametrize("seed", range(3))
def test_texts_of_jobs_are_texts_on_every_page(ada: Visitor, instance: Instance, seed: int) -> None:
    chosen = random.Random(seed)
    job = instance.act(("raise", "value"))
    instance.run("act")
    texts = [chosen.choice(HOSTILE) for _ in range(6)]
    store(instance, job, texts)
    write_report(instance, [chosen.choice(HOSTILE) for _ in range(6)])
    instance.query(
        "INSERT INTO jobcron_pause (scope, name, actor, reason, since) "
        "SELECT 'queue', :name, :actor, :reason, date_created FROM jobcron_job WHERE id = :id",
        name=plain(texts[0])[:60], actor=plain(texts[1])[:200], reason=plain(texts[2]), id=job,
    )  # fmt: skip
    instance.query(
        "INSERT INTO jobcron_act (at, actor, name, reason) "
        "SELECT date_created, :actor, :name, :reason FROM jobcron_job WHERE id = :id",
        actor=plain(texts[3])[:200], name=plain(texts[4])[:60], reason=plain(texts[5]), id=job,
    )  # fmt: skip
    parts = {"job": job, "member": job, "running": job, "report": "OOPS-hostile", "act": 1}
    shown = 0
    for path in [*every_page(parts), *(f"/jobs?group={by}" for by in GROUPED_BY)]:
        page = ada.look(path)
        check(page, path)
        shown += MARK in page.html
    assert shown >= 6


def test_texts_of_keys_tasks_neighbours_and_workers_are_texts(
    ada: Visitor, instance: Instance, full: dict[str, object]
) -> None:
    for number, text in enumerate(HOSTILE):
        told = plain(text)
        before, job, after = (instance.act(description=told[:300]) for _ in range(3))
        short = told[:200]
        kept = {short: "token=hunter2222", "token": "hunter2222"}
        instance.query(
            "UPDATE jobcron_job SET unique_key = :key, steps = :steps, channel = :key WHERE id = :id",
            id=job, key=f"{number} {short}"[:200], steps=json.dumps({short: [short], "workspace": kept}),
        )  # fmt: skip
        for predecessor, successor in ((before, job), (job, after)):
            instance.query(
                "INSERT INTO jobcron_edge (successor, predecessor) VALUES (:successor, :predecessor)",
                successor=successor, predecessor=predecessor,
            )  # fmt: skip
        instance.query(
            "UPDATE jobcron_job SET has_successors = :yes WHERE id IN (:a, :b)", yes=True, a=before, b=job
        )
        instance.query(
            "INSERT INTO jobcron_worker (name, host, pid, version, sections, processes, most_processes,"
            " is_leaving, started, seen, silent_after) SELECT :name, :text, 7, :text, :text, 1, 1, :no,"
            " date_created, date_created, date_created FROM jobcron_job WHERE id = :id",
            name=f"{number} {short}"[:200], text=short, no=False, id=job,
        )  # fmt: skip
        page = ada.get(f"/jobs/{job}")
        check(page, f"/jobs/{job}")
        assert page.html.count(MARK) >= 3, "its key, its tasks, its neighbours"
        assert "Its place in the graph" in page.words
        assert "Tasks and workspace" in page.words
    check(ada.get(f"/jobs?graph={job}"), "the whole graph")
    runners = ada.get("/runners")
    assert runners.html.count(MARK) >= 2 * len(HOSTILE)
    for path in every_page(full):
        check(ada.look(path), path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_reports_are_texts(ada: Visitor, instance: Instance, text: str) -> None:
    write_report(instance, [text] * 6)
    for path in ("/reports", "/reports/OOPS-hostile"):
        page = ada.get(path)
        check(page, path)
        assert MARK in page.html


@pytest.mark.parametrize("seed", range(3))
def test_texts_are_texts_on_the_pages_of_acts(ada: Visitor, instance: Instance, seed: int) -> None:
    chosen = random.Random(seed)
    job = instance.act(("raise", "value"))
    instance.run("act")
    store(instance, job, [chosen.choice(HOSTILE) for _ in range(6)])
    reason = plain(chosen.choice(HOSTILE))[:900]
    filters = {"queue": instance.row(job).queue_name, "status": "failed"}
    pages = [ada.get(f"/jobs/{job}"), ada.get(f"/jobs?{urlencode(filters)}")]
    pages.append(ada.send(pages[0], "/act", button="retry"))
    pages.append(ada.send(pages[1], "/act", button="retry", all="yes"))
    pages.append(ada.send(pages[-1], "/act", reason=reason))
    assert instance.row(job).status is JobStatus.WAITING
    pages.append(ada.send(pages[2], "/act", reason=reason))
    assert "0 jobs were requeued, 1 refused." in pages[-1].words
    pages.append(ada.get("/audit"))
    pages.append(ada.send(pages[-1], "/audit/1/undo"))
    pages.append(ada.send(pages[-1], "/audit/1/undo", reason=reason))
    assert instance.row(job).status is JobStatus.FAILED
    pages += [ada.get("/audit"), ada.get(f"/jobs/{job}")]
    for number, page in enumerate(pages):
        check(page, f"page {number}")


def test_texts_of_schedules_slots_and_channels_are_texts(ada: Visitor, instance: Instance) -> None:
    at = None
    for number, text in enumerate(HOSTILE):
        job, told = instance.act(), plain(text)
        at = at or instance.query("SELECT date_created FROM jobcron_job")[0][0]
        instance.query(
            "INSERT INTO jobcron_schedule (name, origin, job, arguments, cron, time_zone, missed, missed_bound,"
            " overlap, enabled, paused_at, paused_by, paused_because, error) VALUES (:name, :text, :text, '{}',"
            " '0 3 * * *', 'UTC', 'run_once', 1, 'skip', :yes, :at, :text, :text, :text)",
            name=f"{number} {told}"[:200], text=f"{told[:3000]} token=hunter2222", yes=True, at=at,
        )  # fmt: skip
        instance.query(
            "INSERT INTO jobcron_slot (schedule, local_time, fold, due_at, at, outcome, missed, job)"
            " SELECT max(id), :text, 0, :at, :at, :text, 0, :job FROM jobcron_schedule",
            text=told[:100], at=at, job=job,
        )  # fmt: skip
        instance.query(
            "INSERT INTO jobcron_channel (name, capacity, origin, changed_by) VALUES (:text, 1, :text, :text)",
            text=told[:200],
        )  # fmt: skip
        instance.query(
            "UPDATE jobcron_job SET status = 1, lease_token = 1, lease_expires = :at, channel = :text,"
            " channel_key = :text, claimed_by = :text WHERE id = :job",
            at=at, text=told[:200], job=job,
        )  # fmt: skip
    paths = ("/", "/schedules", "/channels", "/runners", "/jobs?group=channel", f"/jobs/{job}")
    pages = {path: ada.get(path) for path in paths}
    named = [link for link in pages["/schedules"].links if link.startswith("/schedules/")]
    assert len(named) == len(HOSTILE)
    pages |= {link: ada.get(link) for link in named}
    for path, page in pages.items():
        check(page, path)
        assert MARK in page.html or path == "/", path


SECRET_URL = "postgresql://me:s3cr3tpw@host/db"


def test_no_link_of_a_row_has_a_secret_that_its_text_hides(ada: Visitor, instance: Instance) -> None:
    job = instance.act()
    instance.query(
        "UPDATE jobcron_job SET requester = :url, queue = :url, unique_key = :url, log = :log WHERE id = :id",
        id=job, url=SECRET_URL, log=f"Traceback\nValueError: {SECRET_URL}",
    )  # fmt: skip
    for path in (f"/jobs/{job}", *(f"/jobs?group={by}" for by in ("type", "queue", "requester", "day", "error"))):
        page = ada.get(path)
        check(page, path)
        assert "s3cr3tpw" not in " ".join(page.links), path
    assert "postgresql://me:***@host/db" in ada.get("/jobs?group=requester").words
    assert "/jobs?type=foo_job.ACT" in ada.get(f"/jobs/{job}").links


def test_no_filter_tells_a_secret(ada: Visitor, ben: Visitor, instance: Instance) -> None:
    job = instance.act()
    data = json.dumps({"password": "hunter2222", "copies": 2})
    instance.query(
        "UPDATE jobcron_job SET log = :log, json_data = :data WHERE id = :id",
        id=job, log=f"Traceback\nValueError: no map at {SECRET_URL}", data=data,
    )  # fmt: skip
    link = f"/jobs/{job}"
    for visitor in (ada, ben):
        assert link in visitor.get("/jobs?argument=copies=2").links
        assert "hidden" in visitor.get("/jobs?argument=password=hunter2222", expect=400).words
    assert link in ada.get("/jobs?error=s3cr").links
    assert link in ben.get("/jobs?error=No+Map").links
    page = ben.get("/jobs?error=s3cr")
    assert link not in page.links
    assert page.words.partition("Filters")[0].count(" 1 ") == 0, "the counts tell of no hit either"
    assert "no groups" in ben.get("/jobs?error=s3cr&group=type", expect=400).words
    assert page.words.replace("s3cr", "") == ben.get("/jobs?error=zzzz").words.replace("zzzz", "")


def plain(text: str) -> str:
    """Return a text that both databases take."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\\0")


@pytest.mark.parametrize("text", HOSTILE[2::5])
def test_texts_of_addresses_are_texts_too(ada: Visitor, text: str) -> None:
    safe = text.encode("utf-8", "replace").decode()[:3000]
    for name in ("q", "error", "section", "type", "target", "argument", "older_than", "status", "window", "below"):
        answer = ada.client.get("/jobs", query_string={name: safe}, environ_overrides={"REMOTE_USER": "ada"})
        check_answer(answer.get_data(as_text=True), answer.status_code)
    for path in ("/sections/", "/schedules/", "/reports/", "/new?name=", "/nowhere/"):
        answer = ada.client.get(f"{path}{safe[:60]}", environ_overrides={"REMOTE_USER": "ada"})
        check_answer(answer.get_data(as_text=True), answer.status_code)
    page = ada.get("/")
    for field in ("name", "reason", "until", "scope", "act", "back", "theme", "jobcron_csrf"):
        sent = [*page.form("/look").fields, (field, safe)]
        for path in ("/pauses", "/act", "/look", "/new/job", "/schedules/act"):
            headers = {"Sec-Fetch-Site": "same-origin"}
            answer = ada.client.post(
                path, data=dict(sent), headers=headers, environ_overrides={"REMOTE_USER": "ada"}
            )
            check_answer(answer.get_data(as_text=True), answer.status_code)
            assert not answer.headers.get("Location", "/").startswith(("//", "http", "/\\"))


def check_answer(html: str, status: int) -> None:
    """Check a page that tells of a mistake."""
    assert status in (200, 303, 308, 400, 403, 404), status
    if html.startswith('<!doctype html>\n<html lang="en" data-theme'):
        check(Page(status, html, {}), "a page")
    elif html.startswith('<!doctype html>\n<html lang="en">\n<head>'):
        check(Page(status, html, {}), "a refusal")


@pytest.mark.feature("OCQ-06")
@pytest.mark.parametrize(
    ("said", "is_link"),
    [
        ("https://kept.example/orders/1", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        ("//evil.example", False),
        ("https://kept.example/\u202e", False),
        ("https://", False),
        ("http://[", False),
        ("plain words", False),
    ],
)
def test_a_related_action_is_a_link_only_if_it_is_an_address_of_the_web(
    ada: Visitor, instance: Instance, monkeypatch: pytest.MonkeyPatch, said: str, is_link: bool
) -> None:
    from jobcron.operations.details import AboutJob

    about = AboutJob({}, None, said)
    monkeypatch.setattr("jobcron.web._pages.job.about_job", lambda session, number, settings: about)
    page = ada.get(f"/jobs/{instance.act()}")
    check(page, "the job")
    assert (said in page.links) is is_link
    assert "Related" in page.words
