"""A real browser for the tests of the dashboard: Debian's Chromium, without a screen."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--disable-dev-shm-usage",
)  # fmt: skip

AXE = files("axe_playwright_python") / "axe.min.js"
"""axe-core, which this package carries."""

FIND = """
const nodes = (found) => found.nodes.slice(0, 3).map((node) => node.html.slice(0, 200));
const told = (found) => [found.id, found.impact, ...nodes(found)];
axe.run(document, {resultTypes: ["violations"]}).then((found) => arguments[arguments.length - 1](
  {passes: found.passes.length, violations: found.violations.map((one) => told(one).join(": "))}));
"""

DESKTOP = (1360, 900)
PHONE = (390, 844)


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Start a browser."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.fail("expected Chromium and its driver: tools/environment.sh server installs them on Debian")
    options = ChromeOptions()
    options.binary_location = program
    for one in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    browser.set_page_load_timeout(30)
    try:
        yield browser
    finally:
        browser.quit()


def look_like(browser: Chrome, size: tuple[int, int], *, is_dark: bool) -> None:
    """Let a browser have a window of a size, and colours that its owner prefers."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def complaints(browser: Chrome) -> list[str]:
    """Return what the browser complains of since the last call: scripts, files, the policy of the page."""
    entries = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [str(entry["message"]) for entry in entries if entry["level"] in ("SEVERE", "WARNING")]


def faults(browser: Chrome) -> list[str]:
    """Return what axe-core finds on the page, with everything open that can be opened."""
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    browser.execute_script(AXE.read_text())
    found = browser.execute_async_script(FIND)
    assert found["passes"] > 0, "axe-core has looked at nothing"
    return [str(one) for one in found["violations"]]


@contextmanager
def served(app: WSGIApplication) -> Iterator[str]:
    """Serve an application in this process, and yield its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


_COLOURS = """
const parts = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const light = (rgb) => {
  const linear = (c) => (c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  const [r, g, b] = rgb.slice(0, 3).map((c) => linear(c / 255));
  return .2126 * r + .7152 * g + .0722 * b;
};
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const rgba = (text) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
};
const under = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = rgba(getComputedStyle(e).backgroundColor);
    if (colour[3] > .9) return colour;
  }
  return [255, 255, 255, 1];
};
"""
"""Functions of scripts: how light a colour is, and what colour is under an element."""

CONTRAST = (
    _COLOURS
    + """
const found = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})) continue;
  if (e.getBoundingClientRect().width < 2 || e.closest(".hide, .skip, svg")) continue;
  const a = light(rgba(getComputedStyle(e).color)), b = light(under(e));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  const told = `${e.tagName}.${e.className} ${ratio.toFixed(2)}: ${e.textContent.trim().slice(0, 40)}`;
  if (ratio < 4.5) found.push(told);
}
return found;
"""
)
"""A script that returns the texts whose contrast is less than WCAG 2.2 AA asks for."""

FAINT = (
    _COLOURS
    + """
const ratio = (one, other) => (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
const found = [];
const tell = (e, value) => found.push(`${e.tagName}.${e.getAttribute("class")} ${value.toFixed(2)}`);
for (const e of document.querySelectorAll("svg rect, svg path, svg text, svg tspan, svg circle")) {
  if (!e.checkVisibility() || e.closest(".side, .empty, .search")) continue;
  const style = getComputedStyle(e), isText = e.matches("text, tspan");
  const box = e.closest("a.box")?.querySelector("rect");
  const inBox = isText && box && getComputedStyle(box).fill !== "none" ? rgba(getComputedStyle(box).fill) : null;
  const ground = light(inBox && inBox[3] > .9 ? inBox : under(e.ownerSVGElement));
  const seen = [style.fill, style.stroke].filter((one) => one !== "none" && rgba(one)[3] > .1);
  if (seen.length === 0) continue;
  const best = Math.max(...seen.map((one) => ratio(light(rgba(one)), ground)));
  if (best < (isText ? 4.5 : 3)) tell(e, best);
}
return found;
"""
)
"""A script that returns what is drawn with less contrast to its ground than WCAG 2.2 AA asks for.

Texts need 4.5 to 1, bars and lines that say something 3 to 1; lines of a grid say nothing.
"""
