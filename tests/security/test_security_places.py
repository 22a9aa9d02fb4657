"""Files and directories that others could use against us are refused, with a message that names them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import Instance

NOBODY = 65534

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def place(instance: Instance, key: str) -> Path:
    """Return the directory that a key of the configuration, or an option, names."""
    return {
        "state_dir": instance.state,
        "lock_dir": instance.state / "locks",
        "error_dir": instance.state / "oops",
        "mail": instance.path / "mail",
        "log": instance.path / "log",
    }[key]


def run(instance: Instance) -> str:
    """Run a job that fails and mails, with a log file; return standard error."""
    instance.act(("raise", "value"), tell=["a@example.com"])
    log = f"--log-file=DEBUG:{instance.path / 'log' / 'act.log'}"
    for status in (0, 1, 2):
        try:
            _, err = instance.command("run", "act", log, expect=status)
        except AssertionError:
            if status == 2:
                raise
        else:
            return err
    raise AssertionError("not reached")


@pytest.mark.feature("LP-18", "LP-25", "LP-29")
@on_sqlite
@pytest.mark.parametrize("key", ["state_dir", "lock_dir", "error_dir", "mail", "log"])
@pytest.mark.parametrize("how", ["everybody may write", "somebody else's"])
def test_a_directory_that_others_command_is_not_used(instance: Instance, key: str, how: str) -> None:
    folder = place(instance, key)
    folder.mkdir(parents=True, mode=0o700)
    if how == "everybody may write":
        folder.chmod(0o777)
    elif os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    else:
        pytest.skip("only root can give a directory away")
    err = run(instance)
    assert str(folder) in err
    assert "everybody may write there" in err or f"it belongs to {NOBODY}" in err
    assert "Traceback (most recent call last)" not in err.split("could not be published")[0]
    written = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert written == []


@pytest.mark.feature("LP-29")
@on_sqlite
@pytest.mark.parametrize("what", ["the file", "its folder"])
def test_a_configuration_that_everybody_may_write_is_refused(instance: Instance, what: str) -> None:
    path = instance.path / "jobcron.conf"
    (path if what == "the file" else path.parent).chmod(0o777)
    for _ in range(2):  # the second one would be read from what is kept
        _, err = instance.command("run", "act", expect=2)
        assert f"{path}: expected a file and a directory that not everybody may write" in err


@pytest.mark.feature("LP-18", "LP-25")
@on_sqlite
@pytest.mark.parametrize("name", ["locks/act.lock", "compiled-settings.json", "outage"])
def test_nothing_is_written_through_a_link_that_was_planted(instance: Instance, name: str) -> None:
    victim = instance.path / "victim"
    victim.write_text("precious")
    link = instance.state / name
    link.parent.mkdir(parents=True, mode=0o700)
    link.symlink_to(victim)
    instance.act(("write", "x"))
    for status in (0, 1):
        try:
            instance.command("run", "act", expect=status)
        except AssertionError:
            continue
        break
    assert victim.read_text() == "precious"


@pytest.mark.feature("LP-29")
@on_sqlite
@pytest.mark.parametrize("name", ["../x", "a/b", "a b", ".hidden", "-x", "x" * 65, "a;b", "ä"])
def test_names_that_meet_paths_are_checked_first(instance: Instance, name: str) -> None:
    before = sorted(instance.path.rglob("*"))
    instance.configure(sections=f"[{name}]\nsource_interface: fooapp.ActJob\n")
    _, err = instance.command("run", "--", name, expect=2)
    assert "Traceback" not in err
    instance.configure(f"oops_prefix: {name}\n")
    text = (instance.path / "jobcron.conf").read_text().replace("oops_prefix: T\n", "", 1)
    (instance.path / "jobcron.conf").write_text(text)
    _, err = instance.command("run", "act", expect=2)
    assert "key oops_prefix: expected a letter" in err
    assert [p for p in sorted(instance.path.rglob("*")) if p not in before] == []
