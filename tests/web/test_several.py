"""`jobcron web --instances`: a server for each of several instances."""

from __future__ import annotations

import re
import signal
import subprocess
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPCookieProcessor, build_opener, urlopen

import pytest

from instances import Instance
from paths import JOBCRON


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_several_instances_have_a_server_each_and_one_that_is_wrong_stops_no_other(instance: Instance) -> None:
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
        links = [found[0] for line in told.values() if (found := re.search(r"http://\S+", line))]
        assert len({urlsplit(link).port for link in links}) == 2
        for link in links:
            with build_opener(HTTPCookieProcessor()).open(link, timeout=20) as page:
                assert b"Overview" in page.read()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "wrong/jobcron.conf: section [jobcron], key database_url: expected a URL" in err
        with pytest.raises(URLError):
            urlopen(links[0], timeout=20)
    finally:
        process.kill()
        process.wait()
