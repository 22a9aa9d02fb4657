"""Every form of the dashboard in a real browser, and the dashboard among the pages of a host's application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

import fooapp
from browsers import DESKTOP, PHONE, complaints, look_like, served
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.web import Visitor, application
from jobcron.web.mounting import close
from schedules import Scheduled
from web_hosts import django_host, flask_host

EITHER = pytest.mark.parametrize(
    ("database_url", "has_script"), [("postgresql", True), ("sqlite", False)], indirect=["database_url"]
)


class Hand:
    """Somebody's hand on a browser.

    Args:
        browser: the browser.
        address: where the dashboard is served.
    """

    def __init__(self, browser: Chrome, address: str) -> None:
        self.browser, self.address = browser, address

    def go(self, path: str) -> None:
        """Go to a page."""
        self.browser.get(self.address + path)

    def find(self, by: str, what: str) -> WebElement:
        """Return an element, once the page is there so far."""
        wait_until(lambda: bool(self.browser.find_elements(by, what)), f"{what} on the page", seconds=60)
        return self.browser.find_element(by, what)

    def open(self, summary: str) -> None:
        """Open what has this summary."""
        self.find(By.XPATH, f"//summary[normalize-space()='{summary}']").click()

    def fill(self, form: str, **texts: str) -> None:
        """Fill in the fields of a form, given the end of its address."""
        for name, text in texts.items():
            selector = f"form[action$='{form}'] [name='{name}']:not([type=hidden])"
            field = self.find(By.CSS_SELECTOR, selector)
            if field.tag_name == "select":
                Select(field).select_by_value(text)
            else:
                field.clear()
                field.send_keys(text)

    def press(self, button: str, told: str) -> None:
        """Press a button, by its words, and wait for what the next page says."""
        self.click(self.find(By.XPATH, f"//button[normalize-space()='{button}']"), told)

    def click(self, button: WebElement, told: str = "") -> None:
        """Click a button that leads to another page, and wait for what that says."""
        before = self.browser.find_element(By.TAG_NAME, "html")
        button.click()

        def is_there() -> bool:
            with suppress(WebDriverException):  # while one page follows the other, there may be none
                return self.browser.find_element(By.TAG_NAME, "html") != before and told in self.words
            return False

        wait_until(is_there, f"the next page, with {told!r}", seconds=60)

    @property
    def words(self) -> str:
        """What the page says."""
        return " ".join(self.browser.find_element(By.TAG_NAME, "body").text.split())


@pytest.fixture
def plainly(browser: Chrome) -> Iterator[Callable[[bool], None]]:
    """Return what switches scripts on and off; they are on again afterwards."""

    def switch(has_script: bool) -> None:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not has_script})

    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})  # cookies do not know ports
    yield switch
    browser.get("about:blank")
    switch(True)
    browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    complaints(browser)


@EITHER
def test_every_form_does_what_it_says(
    instance: Instance, browser: Chrome, plainly: Callable[[bool], None], has_script: bool
) -> None:
    scheduled = Scheduled(instance)
    scheduled.define(more="[act]\nsource_interface: fooapp.IActJobSource\n")
    scheduled.run()
    fooapp.register()
    later = instance.act(scheduled_start=datetime.now(UTC) + timedelta(days=1))
    with instance.session() as session:
        instance.foo(session, "target")
    app = application(str(instance.path), authorize=lambda environ: Visitor("operator", "ada"))
    with served(app) as address:
        plainly(has_script)
        look_like(browser, DESKTOP if has_script else PHONE, is_dark=has_script)
        hand = Hand(browser, address)
        hand.go("/audit")
        if has_script:  # nothing is to be replaced between a look and a click
            browser.execute_script("sessionStorage.setItem('jobcron-live', 'off')")
        pauses(hand, instance)
        schedules(hand, scheduled)
        channels(hand, instance)
        jobs(hand, instance, later)
        browser.get("about:blank")
    close(app)


def pauses(hand: Hand, instance: Instance) -> None:
    """Pause a section and a queue, and end it."""
    hand.go("/sections/act")
    hand.open("Pause this section")
    hand.fill("/pauses", until="2h", reason="the carrier is down")
    hand.press("Pause", "End the pause")
    assert instance.query("SELECT scope, name, reason FROM jobcron_pause") == [
        ("section", "act", "the carrier is down")
    ]
    hand.press("End the pause", "Pause this section")
    hand.go("/sections")
    hand.open("Pause a type or a queue")
    hand.fill("/pauses", scope="queue", name="letters")
    hand.press("Pause", "queue letters")
    hand.press("End it", "Nothing is paused.")
    assert instance.query("SELECT name FROM jobcron_pause") == []


def schedules(hand: Hand, scheduled: Scheduled) -> None:
    """Pause a schedule, resume it, and create a job of it."""
    hand.go("/schedules/nightly")
    hand.open("Pause this schedule")
    hand.fill("/schedules/act", reason="the books are closed")
    hand.press("Pause", "paused it at")
    assert "the books are closed" in hand.words
    hand.press("Resume", "Pause this schedule")
    assert scheduled.row("paused_because") == (None,)
    hand.press("Create a job now", "UUID")


def channels(hand: Hand, instance: Instance) -> None:
    """Set the limits of a channel, pause it, and end that."""
    hand.go("/channels")
    hand.open("Change the limits of a channel")
    hand.fill("/channels/limits", name="root.export", capacity="3", throttle="10/1m")
    hand.press("Set the limits", "0 of 3")
    assert instance.query("SELECT name, capacity FROM jobcron_channel") == [("root.export", 3)]
    hand.open("Pause a channel")
    hand.fill("/pauses", name="root.export")
    hand.press("Pause", "End the pause of root.export")
    hand.press("End the pause of root.export", "Open")


def jobs(hand: Hand, instance: Instance, later: int) -> None:
    """Filter, search, move and create jobs."""
    hand.go("/jobs")
    hand.open("Filters")
    hand.fill("/jobs", status="waiting", type="foo_job.ACT")
    hand.press("Filter", "Type: foo_job.ACT")
    hand.go(f"/jobs/{later}")
    moves = (("Suspend", "suspended"), ("Resume", "waiting"), ("Run now", "waiting"), ("Cancel", "cancelled"))
    for button, status in moves:
        hand.press(f"{button}…", f"{button}: 1 job?")
        hand.fill("/act", reason="by hand")
        hand.press(button, "Done: ")
        assert instance.row(later).status.name.lower() == status
    hand.press("Delete…", "Delete: 1 job?")
    hand.press("Delete", "1 job was deleted, 0 refused.")
    hand.go("/new")
    hand.fill("/new", name="foo_job.DO_FOO")
    hand.press("Take this one", "Create the job")
    hand.fill("/new/job", target="1", description="by hand")
    hand.press("Create the job", "by hand")
    newest = instance.rows()[-1]
    assert (newest.description, newest.requester, newest.status) == ("by hand", "web:ada", JobStatus.WAITING)


@EITHER
def test_every_act_on_jobs_and_channels_is_pressed(
    instance: Instance,
    browser: Chrome,
    plainly: Callable[[bool], None],
    full: dict[str, object],
    has_script: bool,
) -> None:
    app = application(str(instance.path), authorize=lambda environ: Visitor("operator", "ada"))
    later = [instance.act(scheduled_start=datetime.now(UTC) + timedelta(days=1)) for _ in range(3)]
    instance.run("act")  # by which the database knows whose jobs they are
    with served(app) as address:
        plainly(has_script)
        look_like(browser, PHONE if has_script else DESKTOP, is_dark=not has_script)
        hand = Hand(browser, address)
        hand.go("/audit")
        if has_script:  # nothing is to be replaced between a look and a click
            browser.execute_script("sessionStorage.setItem('jobcron-live', 'off')")
        one_by_one(hand, instance, later[0])
        all_that_match(hand, instance, later)
        channel_orders(hand, instance)
        browser.get("about:blank")
    close(app)


def one_by_one(hand: Hand, instance: Instance, job: int) -> None:
    """Postpone a job, change its priority, move it to a queue and to a channel, retry it, and set it to done."""
    hand.go(f"/jobs/{job}")
    due = instance.row(job).scheduled_start
    hand.press("Postpone…", "Postpone: 1 job?")
    hand.fill("/act", by="30h", reason="not today")
    hand.press("Postpone", "Done: postpone")
    assert instance.row(job).scheduled_start - due > timedelta(hours=2)
    hand.press("Change priority…", "Change priority: 1 job?")
    hand.fill("/act", priority="-7")
    hand.press("Change priority", "Done: priority")
    assert instance.row(job).priority == -7
    for field, place, shown in (("queue_to", "letters", "queue_name"), ("channel_to", "root.export", "channel")):
        hand.press("Move…", "Move: 1 job?")
        hand.fill("/act", **{field: place})
        hand.press("Move", "Done: move")
        assert getattr(instance.row(job), shown) == place
    hand.press("Set done…", "Set done: 1 job?")
    hand.press("Set done", "Done: set-done")
    assert instance.row(job).status is JobStatus.COMPLETED
    hand.press("Retry…", "Retry: 1 job?")
    hand.fill("/act", spread="10m")
    hand.press("Retry", "Done: retry")
    assert instance.row(job).status is JobStatus.WAITING


def all_that_match(hand: Hand, instance: Instance, jobs: list[int]) -> None:
    """Move all that match a filter, and make the jobs of a section due."""
    hand.go("/jobs?status=waiting&type=foo_job.ACT")
    hand.find(By.NAME, "all").click()
    hand.press("Suspend…", "Suspend: ")
    assert {instance.row(job).status for job in jobs} == {JobStatus.WAITING}, (
        "nothing is done before it is confirmed"
    )
    hand.press("Suspend", "were suspended, 0 refused.")
    assert {instance.row(job).status for job in jobs} == {JobStatus.SUSPENDED}
    hand.go("/audit")
    number = instance.query("SELECT max(id) FROM jobcron_act")[0][0]
    hand.click(hand.find(By.CSS_SELECTOR, f"button[aria-label='Undo act {number}']"))
    hand.press("Undo", "were put back, 0 refused.")
    assert {instance.row(job).status for job in jobs} == {JobStatus.WAITING}
    hand.go("/sections/act")
    hand.press("Make its waiting jobs due now…", "Run now: ")
    hand.press("Run now", "made due, 0 refused.")
    now = datetime.now(UTC) + timedelta(minutes=5)
    assert all(instance.row(job).scheduled_start < now for job in jobs)


def channel_orders(hand: Hand, instance: Instance) -> None:
    """Let a channel go on without the jobs whose turn it is, and have its configured limits again."""
    hand.go("/channels")
    hand.press("Let root.ordered go on without the jobs whose turn it is", "root.ordered")
    assert instance.query("SELECT passed_at IS NULL FROM jobcron_channel WHERE name = 'root.ordered'")[0][0] in (
        0,
        False,
    )
    assert "Let root.ordered go on" not in hand.words
    hand.open("Change the limits of a channel")
    hand.fill("/channels/limits", name="root.export")
    hand.press("As configured", "root.ordered")
    assert (
        instance.query("SELECT * FROM jobcron_channel WHERE name = 'root.export' AND capacity IS NOT NULL") == []
    )


@pytest.fixture(params=["flask", "django"])
def host(
    request: pytest.FixtureRequest, instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, str]]:
    """Return a host's application with the dashboard, and where that is."""
    if request.param == "flask":
        with flask_host(instance) as app:
            yield app, "/office/jobs"
    else:
        made, dashboard = django_host(instance, tmp_path, monkeypatch)
        yield made, "/jobs"
        close(dashboard)


@EITHER
def test_it_works_among_the_pages_of_a_host(
    instance: Instance, browser: Chrome, plainly: Callable[[bool], None], host: tuple[Any, str], has_script: bool
) -> None:
    job = instance.act(("raise", "value"))
    instance.run("act")
    app, path = host
    with served(app) as address:
        plainly(has_script)
        look_like(browser, DESKTOP, is_dark=False)
        hand = Hand(browser, address)
        hand.go(f"{path}/")
        assert "You have no access to this dashboard." in hand.words
        browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"X-User": "ada"}})
        hand.go("/login/operator")  # of the one in Flask
        if has_script:  # nothing is to be replaced between a look and a click
            browser.execute_script("sessionStorage.setItem('jobcron-live', 'off')")
        complaints(browser)
        hand.go(f"{path}/")
        assert "Needs attention" in hand.words
        side = browser.find_element(By.CSS_SELECTOR, ".side")
        assert side.value_of_css_property("position") == "sticky", "its style sheet is found"
        hand.go(f"{path}/jobs/{job}")
        hand.press("Retry…", "Retry: 1 job?")
        hand.press("Retry", "Done: retry")
        assert instance.row(job).status is JobStatus.WAITING
        hand.press("Dark", f"Job {job}")
        wait_until(lambda: 'data-theme="dark"' in browser.page_source, "the dark theme", seconds=60)
        if has_script:
            assert browser.execute_script("return htmx.version")
        assert complaints(browser) == []
        browser.get("about:blank")


TWICE = """
const seen = [];
window.addEventListener("submit", (event) => { seen.push(event.defaultPrevented); event.preventDefault(); });
for (const place of [0, 1]) document.querySelector("form[action$='/look']").requestSubmit();
return seen;
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_second_click_of_a_double_click_sends_no_form_again(instance: Instance, browser: Chrome) -> None:
    app = application(str(instance.path), authorize=lambda environ: Visitor("operator", "ada"))
    with served(app) as address:
        browser.get(f"{address}/audit")
        assert browser.execute_script(TWICE) == [False, True]
        browser.get("about:blank")
    close(app)
