"""`jobcron web --instances`: a server for each of several instances."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest

from instances import Instance, run_jobcron
from paths import JOBCRON


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("leaving", [signal.SIGTERM, signal.SIGHUP])
def test_several_instances_have_a_server_each_and_one_that_fails_stops_no_other(
    instance: Instance, leaving: signal.Signals
) -> None:
    folder = instance.path.with_name("all")
    folder.mkdir()
    for name in ("first", "second", "wrong"):
        text = (instance.path / "jobcron.conf").read_text() if name != "wrong" else "[jobcron]\n"
        (folder / name).mkdir()
        (folder / name / "jobcron.conf").write_text(
            text.replace("state_dir: ", f"state_dir: {folder / name / 'var'}\n#")
        )
    command = [str(JOBCRON), "web", "--instances", f"{folder}/*", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        told: dict[str, str] = {}
        while len(told) < 2:
            name, _, line = process.stdout.readline().partition(": ")
            if "The dashboard is at" in line:
                told[name] = line
        assert sorted(told) == ["first", "second"]
        links = [found[0] for _, line in sorted(told.items()) if (found := re.search(r"http://\S+", line))]
        assert len({urlsplit(link).port for link in links}) == 2
        browser = build_opener(HTTPCookieProcessor())
        for link in links:
            with browser.open(link, timeout=60) as page:
                assert b"Overview" in page.read()
        first, second = (urlsplit(link)._replace(query="").geturl().removesuffix("login") for link in links)
        assert urlsplit(first).path != urlsplit(second).path, "no cookie of one is sent to the other"
        for strange in (first.replace(f":{urlsplit(first).port}", f":{urlsplit(second).port}"), f"{first}jobs"):
            with pytest.raises(HTTPError, match="403"):
                urlopen(strange, timeout=60)
        with browser.open(f"{first}sections", timeout=60) as page:
            fields = {"jobcron_csrf": token_of(page.read().decode()), "scope": "queue", "name": "letters"}
        form = Request(f"{first}pauses", urlencode(fields).encode(), {"Sec-Fetch-Site": "same-origin"})
        with browser.open(form, timeout=60) as page:
            assert b"letters" in page.read()
        form.full_url = f"{second}pauses"
        with pytest.raises(HTTPError, match="403"):
            browser.open(form, timeout=60)
        os.kill(first_of_children(process.pid, "second"), signal.SIGKILL)
        with browser.open(first, timeout=60) as page:
            assert b"Overview" in page.read(), "the others go on"
        process.send_signal(leaving)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert re.search(
            r"^wrong: .*wrong/jobcron.conf: section \[jobcron\], key database_url: expected a URL", err, re.M
        )
        assert "wrong: its server has ended, with status " in err
        assert "second: its server has ended, with status -9" in err
        assert re.search("^first: INFO +queue letters is paused by web:.* from 127.0.0.1$", err, re.M), err
        with pytest.raises(URLError):
            urlopen(links[0], timeout=20)
    finally:
        process.terminate()
        process.communicate()


def token_of(page: str) -> str:
    """Return the token of a page's forms."""
    found = re.search('name="jobcron_csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def first_of_children(parent: int, name: str) -> int:
    """Return the child that serves the instance of a name."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if f"/{name}/jobcron.conf" in Path(f"/proc/{child}/cmdline").read_text():
            return int(child)
    raise AssertionError(f"no child serves {name}")


def test_several_instances_have_no_database_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBCRON_DATABASE_URL", "sqlite:////nowhere.db")
    _, err = run_jobcron("web", "--instances", "/nowhere/*", expect=2)
    assert "expected JOBCRON_DATABASE_URL not to be set for several instances" in err
