"""Make the pictures of the dashboard in the documentation: ``python docs/generate_screenshots.py``.

It needs what the tests need: Debian's Chromium with its driver. The example runs in a folder of its own, and gets
the history of a day, with the same random numbers each time. Look at each picture before it is kept: whether it
looks well, no test can tell.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from sqlalchemy import Connection, text
from werkzeug.serving import make_server

from jobcron import Database, JobStatus, load_settings
from jobcron.operations.pauses import Scope, pause
from jobcron.web import Visitor, application
from jobcron.web.mounting import close

TOP = Path(__file__).resolve().parent.parent
FOLDER = TOP / "docs" / "screenshots"

HISTORY, EVERY = timedelta(days=1), timedelta(minutes=4)

ERROR = "Traceback (most recent call last):\n  …\ncodehost.git.GitError: fatal: bad object 5f3c9d1"

WIDE = 1280


class Shot(NamedTuple):
    """A picture.

    Attributes:
        name: of its file.
        path: of the page; ``{failed}`` stands for the job that failed.
        size: the width and height that are shown, in pixels of the page.
        is_dark: whether its colours are dark.
    """

    name: str
    path: str
    size: tuple[int, int]
    is_dark: bool = False


SHOTS = (
    Shot("overview.png", "/", (WIDE, 1130)),
    Shot("job.png", "/jobs/{failed}", (WIDE, 1000)),
    Shot("jobs.png", "/jobs", (WIDE, 900), is_dark=True),
    Shot("phone.png", "/", (410, 844)),
    Shot("phone-dark.png", "/jobs/{failed}", (410, 844), is_dark=True),
)


@contextmanager
def instance() -> Iterator[Path]:
    """Yield the directory of an instance in which the example has run."""
    with tempfile.TemporaryDirectory(prefix="jobcron-screenshots-") as folder:
        path = Path(folder) / "development"
        path.mkdir()
        settings = (TOP / "configs" / "development" / "jobcron.conf").read_text()
        settings = settings.replace("../../var", folder).replace("../../examples", str(TOP / "examples"))
        (path / "jobcron.conf").write_text(settings)
        command = [sys.executable, "-m", "codehost"]
        environment = {**os.environ, "JOBCRON_CONFIG": str(path)}
        subprocess.run(command, cwd=TOP / "examples", env=environment, check=True, stdout=subprocess.DEVNULL)
        yield path


JOB = text(
    "INSERT INTO jobcron_job (uuid, type, status, priority, date_created, scheduled_start, date_started,"
    " date_finished, lease_token, attempt_count, requester, log) "
    "VALUES (:uuid, :type, :status, 10, :created, :created, :begun, :ended, 1, 1, 'ada', :log)"
)

EVENT = text(
    "INSERT INTO jobcron_event (job, at, actor, kind, detail, lease_token) "
    "VALUES (:job, :at, 'www1:4711', 'failed', :log, 1)"
)

RUN = text(
    "INSERT INTO jobcron_run (name, hostname, date_started, date_completed, completed, incomplete, oopses,"
    " waited, ran) VALUES (:name, 'www1', :begun, :ended, :completed, :incomplete, 0, :waited, :ran)"
)


def add_history(connection: Connection) -> int:
    """Give the example's jobs the history of a day, and return the number of one that has failed."""
    chance = random.Random(7)
    now = datetime.now(UTC)
    types = [number for (number,) in connection.execute(text("SELECT DISTINCT type FROM jobcron_job ORDER BY 1"))]
    sections = [name for (name,) in connection.execute(text("SELECT DISTINCT name FROM jobcron_run ORDER BY 1"))]
    alone = connection.execute(
        text("SELECT id FROM jobcron_type WHERE name = 'steps.import_history'")
    ).scalar_one()
    connection.execute(text("UPDATE jobcron_run SET completed = 3"))  # the example's would dwarf all others
    failed, at = 0, now - HISTORY
    while at < now - EVERY:
        at += EVERY * chance.uniform(0.5, 1.5)
        begun = at + timedelta(seconds=chance.expovariate(1 / 9))
        ended = begun + timedelta(seconds=chance.expovariate(1 / 3))
        times = {"created": _stored(at), "begun": _stored(begun), "ended": _stored(ended)}
        is_bad, count = chance.random() < 0.05, chance.randint(1, 4)
        for number in range(count):
            log = ERROR if is_bad and number == 0 else None
            uuid = UUID(int=chance.getrandbits(128), version=4).hex
            status = JobStatus.COMPLETED if log is None else JobStatus.FAILED
            kind = chance.choice(types) if log is None else alone
            values = {**times, "uuid": uuid, "type": kind, "status": status.value, "log": log}
            made = connection.execute(JOB, values).lastrowid
            if log is not None:
                failed = made
                connection.execute(EVENT, {"job": made, "at": times["ended"], "log": log})
        lengths = {"waited": count * (begun - at).total_seconds(), "ran": count * (ended - begun).total_seconds()}
        counts = {"completed": count - is_bad, "incomplete": int(is_bad), "name": chance.choice(sections)}
        connection.execute(RUN, {**times, **lengths, **counts})
    return failed


def _stored(moment: datetime) -> str:
    """Return a time as SQLite has it."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"


@contextmanager
def served(path: Path) -> Iterator[str]:
    """Serve the dashboard, and yield its address."""
    app = application(str(path), authorize=lambda environ: Visitor("operator", "ada"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        close(app)


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Start a browser without a screen."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        sys.exit("expected Chromium and its driver: tools/environment.sh server installs them on Debian")
    options = ChromeOptions()
    options.binary_location = program
    for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(one)
    browser = Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


def take(browser: Chrome, address: str, shot: Shot, folder: Path) -> None:
    """Take a picture of a page."""
    width, height = shot.size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if shot.is_dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(address + shot.path)
    browser.save_screenshot(str(folder / shot.name))


def main() -> int:
    """Make all pictures."""
    with instance() as path:
        settings = load_settings(str(path))
        database = Database(settings.database_url)
        with database.begin() as connection:
            failed = add_history(connection)
            pause(connection, settings, Scope.QUEUE, "letters", actor="ada", reason="the carrier is down")
        database.close()
        with served(path) as address, chromium() as browser:
            for shot in SHOTS:
                take(browser, address, shot._replace(path=shot.path.format(failed=failed)), FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
