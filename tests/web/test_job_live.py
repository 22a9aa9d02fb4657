"""A job's page: what it shows of a job that runs, of its attempts, of its report; and the way to it by a day."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

import fooapp
from browsers import DESKTOP, look_like, served
from instances import Instance, wait_until
from jobcron.web import Visitor as Somebody
from jobcron.web import application
from jobcron.web.mounting import close
from web_pages import Visitor


def test_the_progress_of_a_job_that_runs_is_followed_by_its_page_until_it_ends(
    browser: Chrome, instance: Instance, full: dict[str, object]
) -> None:
    fooapp.register()
    job = full["running"]
    app = application(str(instance.path), authorize=lambda environ: Somebody("reader", "ben"))
    with served(app) as address:
        look_like(browser, DESKTOP, is_dark=False)
        browser.get(f"{address}/jobs/{job}")
        browser.execute_script("sessionStorage.clear()")

        def shown() -> str | None:
            """Let the page look, and return the progress that it shows; in one step, as it may be replaced."""
            found: str | None = browser.execute_script(
                "document.dispatchEvent(new Event('visibilitychange'));"
                "const one = document.querySelector('#content progress');"
                "return one === null ? null : one.getAttribute('value')"
            )
            return found

        assert shown() == "40"
        instance.query("UPDATE jobcron_job SET progress = 70 WHERE id = :id", id=job)
        wait_until(lambda: shown() == "70", "the new progress", seconds=60)
        instance.query("UPDATE jobcron_job SET status = 2, date_finished = date_created WHERE id = :id", id=job)
        wait_until(lambda: shown() is None, "the end", seconds=60)
        assert "Completed" in browser.find_element(By.TAG_NAME, "h1").text
        browser.get("about:blank")
    close(app)


def test_the_attempts_of_a_job_are_a_timeline_with_their_reports(ada: Visitor, instance: Instance) -> None:
    job = instance.act(("raise", "value"), requester="carl")
    instance.run("act")
    first = instance.row(job).oops_id
    ada.send(ada.send(ada.get(f"/jobs/{job}"), "/act", button="retry"), "/act", reason="once more")
    instance.run("act")
    second = instance.row(job).oops_id
    assert first != second
    page = ada.get(f"/jobs/{job}")
    timeline = page.html.partition('<ol class="timeline">')[2].partition("</ol>")[0]
    told = [
        "created",
        "carl",
        "failed",
        f"/reports/{first}",
        "web:ada",
        "once more",
        "failed",
        f"/reports/{second}",
    ]
    place = 0
    for text in told:
        found = timeline.find(text, place)
        assert found >= 0, f"{text} is not there, or not after what comes before it in {told}"
        place = found + len(text)


def test_a_day_leads_to_the_jobs_that_were_created_on_it(ada: Visitor, instance: Instance) -> None:
    jobs = [instance.act() for _ in range(3)]
    old = instance.act()
    instance.query("UPDATE jobcron_job SET date_created = '2020-02-29 12:00:00.000000' WHERE id = :id", id=old)
    groups = ada.get("/jobs?group=day")
    (link,) = [link for link in groups.links if "created_on=2020-02-29" in link]
    day = ada.get(link)
    assert f"/jobs/{old}" in day.links
    assert not {f"/jobs/{job}" for job in jobs} & set(day.links)
    assert "Created on: 2020-02-29" in " ".join(day.words.split())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_report_has_its_traceback_its_causes_its_variables_and_its_statements(
    ada: Visitor, instance: Instance
) -> None:
    folder = instance.state / "oops" / f"{datetime.now(UTC):%Y-%m-%d}"
    folder.mkdir(parents=True)
    report = {
        "id": "OOPS-T9-1-0a1b2c3d", "type": "ValueError", "value": "no map", "time": "2026-11-30T08:00:00",
        "tb_text": "KeyError: 'north'\n\nThe above exception was the direct cause\n\nValueError: no map",
        "req_vars": {"section": "maps", "copies": 3}, "timeline": [[0, 12, "SQL-main", "SELECT north FROM maps"]],
    }  # fmt: skip
    (folder / "OOPS-T9-1-0a1b2c3d").write_text(json.dumps(report))
    words = ada.get("/reports/OOPS-T9-1-0a1b2c3d").words
    for told in (
        "ValueError",
        "KeyError: 'north'",
        "direct cause",
        "copies",
        "maps",
        "SELECT north FROM maps",
        "12",
    ):
        assert told in words
    assert "/reports/OOPS-T9-1-0a1b2c3d" in ada.get("/reports").links
