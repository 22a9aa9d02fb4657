"""A database that is away: told once, and again when the reason changes; cron mails what is told."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from fooapp import DoFooJob
from instances import Instance
from jobcron import JobStatus
from paths import JOBCRON


def missing(instance: Instance, name: str) -> dict[str, str]:
    """Return the environment in which the database is away."""
    return {"JOBCRON_DATABASE_URL": f"sqlite:///{instance.path}/{name}/foo.db"}


def outage_file(instance: Instance) -> Path:
    """Return the file that notes an outage of the section do_foo."""
    return instance.state / "do_foo.outage"


@pytest.mark.feature("LP-16")
def test_a_database_that_is_away_is_told_once_and_so_is_its_return(instance: Instance) -> None:
    with instance.session() as session:
        job = int(DoFooJob.create(instance.foo(session), session=session).job.id)
    away = missing(instance, "one")
    _, err = instance.command("run", "do_foo", "-q", "-q", expect=1, extra_env=away)
    assert re.search("ERROR   .*cannot connect to the database", err)
    assert outage_file(instance).stat().st_mode & 0o777 == 0o600
    began = 1_000_000_000
    os.utime(outage_file(instance), (began, began))
    for _ in range(2):
        assert instance.command("run", "do_foo", expect=1, extra_env=away) == ("", "")
    _, err = instance.command("run", "do_foo", "-v", expect=1, extra_env=away)
    assert re.search("DEBUG   .*cannot connect to the database", err)
    _, err = instance.command("run", "do_foo", expect=1, extra_env=missing(instance, "two"))
    assert re.search("ERROR   .*cannot connect to the database", err)
    assert "/two/" in err
    assert outage_file(instance).stat().st_mtime == began
    _, err = instance.command("run", "do_foo", "-q")
    assert err.endswith("WARNING The database is there again; it was away since 2001-09-09 01:46:40 UTC\n")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert not outage_file(instance).exists()
    assert instance.command("run", "do_foo") == ("", "")


@pytest.mark.feature("LP-16")
def test_a_tick_with_nothing_to_do_tells_of_the_return(instance: Instance) -> None:
    instance.run("do_foo")
    instance.command("run", "do_foo", expect=1, extra_env=missing(instance, "one"))
    _, err = instance.command("run", "do_foo")
    assert "The database is there again" in err


@pytest.mark.feature("LP-16", "LP-28")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_script_that_is_switched_off_knows_of_no_return(instance: Instance) -> None:
    instance.command("run", "do_foo", expect=1, extra_env=missing(instance, "one"))
    control = instance.path / "control.ini"
    instance.configure(f"cron_control: {control}\n")
    control.write_text("[DEFAULT]\nenabled: false\n")
    instance.command("run", "do_foo")
    assert outage_file(instance).exists()


@pytest.mark.feature("LP-16")
@pytest.mark.parametrize("wrong", ["link", "folder", "pipe"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_cannot_be_used_only_means_to_be_told_again(
    instance: Instance, tmp_path: Path, wrong: str
) -> None:
    away = missing(instance, "one")
    instance.state.mkdir(mode=0o700)
    target = tmp_path / "target"
    target.write_text("mine")
    match wrong:
        case "link":
            outage_file(instance).symlink_to(target)
        case "folder":
            outage_file(instance).mkdir()
            (outage_file(instance) / "file").touch()
        case "pipe":
            os.mkfifo(outage_file(instance))
    _, err = instance.command("run", "do_foo", expect=1, extra_env=away)
    assert re.search("ERROR   .*cannot connect", err)
    assert len(err.splitlines()) <= 2
    _, err = instance.command("run", "do_foo", expect=1, extra_env=away)
    assert ("cannot connect" in err) is (wrong == "folder")
    assert target.read_text() == "mine"
    _, err = instance.command("run", "do_foo")
    assert "ERROR" not in err
    assert ("there again" in err) is (wrong != "folder")


@pytest.mark.feature("LP-16")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_person_at_a_terminal_is_told_each_time(instance: Instance) -> None:
    environment = {**os.environ, **missing(instance, "one"), "JOBCRON_CONFIG": str(instance.path)}
    for _ in range(2):
        ours, theirs = pty.openpty()
        assert subprocess.call([JOBCRON, "run", "do_foo"], env=environment, stderr=theirs) == 1
        os.close(theirs)
        assert b"cannot connect" in os.read(ours, 10_000)
        os.close(ours)
