"""The dashboard in a real browser: every page, light and dark, desktop and phone, with JavaScript and without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import fooapp
from browsers import CONTRAST, DESKTOP, FAINT, PHONE, complaints, faults, look_like, served
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.web import Visitor, application
from jobcron.web.mounting import close
from web_paths import every_page

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@pytest.fixture
def app(instance: Instance) -> Iterator[Flask]:
    """Return the dashboard of an instance, for somebody who may act."""
    fooapp.register()
    made = application(str(instance.path), authorize=lambda environ: Visitor("operator", "ada"))
    yield made
    close(made)


@pytest.fixture
def address(app: Flask, browser: Chrome) -> Iterator[str]:
    """Return where the dashboard is served."""
    with served(app) as found:
        yield found
        browser.get("about:blank")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.fixture
def job(failed: int) -> int:
    """Return a job that has failed, with long texts."""
    return failed


@pytest.mark.parametrize(
    ("database_url", "is_dark", "size"),
    [
        ("sqlite", False, DESKTOP),
        ("postgresql", True, DESKTOP),
        ("sqlite", True, PHONE),
        ("postgresql", False, PHONE),
    ],
    indirect=["database_url"],
)
def test_pages_fit_can_be_read_and_break_no_rule_of_the_browser(
    address: str, browser: Chrome, full: dict[str, object], is_dark: bool, size: tuple[int, int]
) -> None:
    look_like(browser, size, is_dark=is_dark)
    complaints(browser)
    for path in every_page(full):
        browser.get(address + path)
        assert browser.execute_script(CONTRAST) == [], path
        assert browser.execute_script(FAINT) == [], path
        if is_dark is (size == PHONE):  # each colour and each width once: it takes long
            assert faults(browser) == [], path
        assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0], path
        told = [text for text in complaints(browser) if "status of 40" not in text]  # some are refusals
        assert told == [], path
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(15, 19, 23)") is is_dark, ground


EMPTY = "sections schedules channels runners reports audit"


@pytest.mark.parametrize(
    ("database_url", "is_dark"), [("sqlite", False), ("postgresql", True)], indirect=["database_url"]
)
def test_pages_of_an_instance_without_anything_say_so(address: str, browser: Chrome, is_dark: bool) -> None:
    look_like(browser, PHONE if is_dark else DESKTOP, is_dark=is_dark)
    complaints(browser)
    for path in ("/", "/jobs", "/jobs?group=type", *map("/{}".format, EMPTY.split())):
        browser.get(address + path)
        assert browser.find_element(By.TAG_NAME, "h1").text
        assert faults(browser) == [], path
        assert complaints(browser) == [], path


def test_on_a_phone_the_name_of_the_page_is_in_sight(address: str, browser: Chrome) -> None:
    look_like(browser, PHONE, is_dark=False)
    for name in ("overview", "sections", "doctor", "audit"):
        browser.get(address + ("/" if name == "overview" else f"/{name}"))
        here = browser.find_element(By.CSS_SELECTOR, "header nav [aria-current]")
        left, right = browser.execute_script(
            "const at = arguments[0].getBoundingClientRect(); return [at.left, at.right]", here
        )
        width = browser.execute_script("return innerWidth")
        assert 0 <= left < right <= width, name
        assert browser.execute_script("return [scrollX, scrollY]") == [0, 0]


@pytest.mark.parametrize(
    ("database_url", "has_script"), [("postgresql", True), ("sqlite", False)], indirect=["database_url"]
)
def test_jobs_are_chosen_retried_and_put_back(
    address: str, browser: Chrome, instance: Instance, job: int, has_script: bool
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not has_script})
    look_like(browser, DESKTOP, is_dark=False)
    browser.get(f"{address}/jobs?status=failed")

    def press(selector: str, told: str) -> None:
        browser.find_element(By.CSS_SELECTOR, selector).click()
        wait_until(lambda: told in browser.page_source, f"{told!r} after {selector}", seconds=60)
        if has_script:
            assert faults(browser) == [], told

    browser.find_element(By.CSS_SELECTOR, f"input[name=id][value='{job}']").click()
    press("button[value=retry]", "Retry: 1 job?")
    browser.find_element(By.NAME, "reason").send_keys("mended")
    press("button.main", "1 job was requeued, 0 refused.")
    assert instance.row(job).status is JobStatus.WAITING
    press("nav a[href='/audit']", "web:ada")
    press("button[aria-label='Undo act 1']", "Undo act 1: 1 job?")
    press("button.main", "1 job was put back, 0 refused.")
    assert instance.row(job).status is JobStatus.FAILED
    press("button[value=dark]", 'data-theme="dark"')
    press("button[value=auto]", 'data-theme="auto"')


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_page_follows_what_happens_unless_somebody_is_busy_with_it(
    address: str, browser: Chrome, instance: Instance, job: int
) -> None:
    look_like(browser, DESKTOP, is_dark=False)
    browser.get(f"{address}/jobs")
    assert browser.find_element(By.CSS_SELECTOR, "#live button").text == "Live"
    new = instance.act(("write", "y"))

    def shows(number: int) -> bool:
        return f"/jobs/{number}" in browser.page_source

    def look() -> None:
        browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")

    assert not shows(new)
    look()
    wait_until(lambda: shows(new), "the new job", seconds=15)
    browser.find_element(By.CSS_SELECTOR, f"input[value='{new}']").click()
    newer = instance.act(("write", "z"))
    for _ in range(5):
        look()
    assert browser.find_element(By.CSS_SELECTOR, f"input[value='{new}']").is_selected()
    assert not shows(newer)
    browser.find_element(By.CSS_SELECTOR, f"input[value='{new}']").click()
    browser.execute_script("document.activeElement.blur()")
    look()
    wait_until(lambda: shows(newer), "the newer job", seconds=15)
    browser.find_element(By.CSS_SELECTOR, "#live button").click()
    newest = instance.act(("write", "z"))
    look()
    assert browser.find_element(By.CSS_SELECTOR, "#live button").text == "Paused"
    assert not shows(newest)
    browser.execute_script("sessionStorage.clear()")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_somebody_begins_while_a_page_is_asked_for_stays(
    app: Flask, address: str, browser: Chrome, instance: Instance, job: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_like(browser, DESKTOP, is_dark=False)
    asked, may_answer, real = Event(), Event(), app.wsgi_app

    def slow(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "HTTP_HX_REQUEST" in environ:
            asked.set()
            may_answer.wait(60)
        return real(environ, start_response)

    monkeypatch.setattr(app, "wsgi_app", slow)
    browser.get(f"{address}/jobs")
    browser.execute_script("addEventListener('htmx:afterRequest', () => { document.title = 'answered'; })")
    new = instance.act(("write", "y"))
    browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")
    assert asked.wait(60)
    chosen = browser.find_element(By.CSS_SELECTOR, f"input[value='{job}'][name=id]")
    chosen.click()
    may_answer.set()
    wait_until(lambda: browser.title == "answered", "the answer", seconds=60)
    assert chosen.is_selected()
    assert f"/jobs/{new}" not in browser.page_source


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_times_are_in_the_zone_of_the_browser_with_utc_behind(address: str, browser: Chrome, job: int) -> None:
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Pacific/Auckland"})
    browser.get(f"{address}/jobs/{job}")
    shown = browser.find_element(By.CSS_SELECTOR, "time:not(.relative)")
    expected = browser.execute_script(
        "const t = new Date(arguments[0].dateTime), p = (n) => String(n).padStart(2, '0');"
        "const day = `${t.getFullYear()}-${p(t.getMonth() + 1)}-${p(t.getDate())}`;"
        "return `${day} ${p(t.getHours())}:${p(t.getMinutes())}`",
        shown,
    )
    assert shown.text.startswith(expected)
    title = str(shown.get_attribute("title"))
    assert title.endswith(" UTC")
    assert not title.startswith(expected)
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_keyboard_leads_everywhere(address: str, browser: Chrome, job: int, tmp_path: Path) -> None:
    look_like(browser, DESKTOP, is_dark=False)
    browser.get(f"{address}/jobs/{job}")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    first = browser.switch_to.active_element
    assert first.text == "To the content"
    first.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "content"
    seen = set()
    for _ in range(25):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        seen.add(browser.switch_to.active_element.text)
    assert {"Retry…", "Delete…"} <= seen


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_printed_is_light_whatever_the_screen_is(address: str, browser: Chrome, job: int) -> None:
    look_like(browser, DESKTOP, is_dark=True)
    browser.get(f"{address}/jobs/{job}")
    browser.find_element(By.CSS_SELECTOR, "button[value=dark]").click()
    wait_until(lambda: 'data-theme="dark"' in browser.page_source, "the dark theme")
    colours = "const s = getComputedStyle(document.querySelector('h1')); return s.color"
    on_screen = browser.execute_script(colours)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    printed = browser.execute_script(colours)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    browser.find_element(By.CSS_SELECTOR, "button[value=auto]").click()
    assert on_screen == "rgb(227, 232, 238)"
    assert printed == "rgb(22, 32, 43)"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("status", "text", "is_offered"),
    [
        ("200 OK", "<!doctype html><title>Log in</title><main><form>Name</form></main>", True),
        ("403 Forbidden", "You have no access to this dashboard.", True),
        ("503 Service Unavailable", "The database cannot be used now.", False),
    ],
)
def test_a_page_that_cannot_be_refreshed_stays_and_says_since_when(
    app: Flask,
    address: str,
    browser: Chrome,
    job: int,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    text: str,
    is_offered: bool,
) -> None:
    look_like(browser, DESKTOP, is_dark=False)
    browser.get(f"{address}/jobs")
    button = browser.find_element(By.CSS_SELECTOR, "#live button")
    again = browser.find_element(By.CSS_SELECTOR, "#live a")
    assert not again.is_displayed()

    def look() -> None:
        browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")

    def elsewhere(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response(status, [("Content-Type", "text/html")])
        return [text.encode()]

    with monkeypatch.context() as patched:
        patched.setattr(app, "wsgi_app", elsewhere)
        look()
        wait_until(lambda: button.text.startswith("Not up to date since "), "the truth", seconds=15)
        assert f"/jobs/{job}" in browser.page_source, "what was shown stays"
        assert again.is_displayed() is is_offered
    look()
    wait_until(lambda: button.text == "Live", "that it is live again", seconds=15)
    assert not again.is_displayed()
    complaints(browser)
