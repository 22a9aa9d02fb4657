"""Files and directories that others could use against us are refused, with a message that names them."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from instances import Instance, fork_server
from jobcron import ConfigurationError, load_settings
from jobcron.commands._init import init
from jobcron.commands.checks._check_config import check_config
from jobcron.commands.tables._upgrade import upgrade
from jobcron.database.roles import read_roles
from jobcron.scripts import outage
from jobcron.scripts._profiling import open_profile
from jobcron.scripts.control import Control
from jobcron.scripts.locks.lock import RunLock
from jobcron.settings.directories import user_named
from paths import JOBCRON

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")

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


def write_configuration(folder: Path) -> None:
    """Write a configuration that extends one in a folder below."""
    (folder / "base").mkdir()
    (folder / "base" / "base.conf").write_text("[jobcron]\ndatabase_url: sqlite:///x.db\n")
    text = "[meta]\nextends: base/base.conf\n[jobcron]\nstate_dir: state\n"
    (folder / "jobcron.conf").write_text(text)


def leave(instance: Instance, *words: str, extra_env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run ``jobcron``; return the exit status and standard error."""
    environment = {**os.environ, "JOBCRON_CONFIG": str(instance.path), **(extra_env or {})}
    status, _, err = fork_server().run(JOBCRON, words, environment, None, 60)
    return status, err


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
@pytest.mark.parametrize(
    ("key", "how"),
    [
        (key, how)
        for key in ("state_dir", "lock_dir", "error_dir", "mail", "log")
        for how in ("everybody may write", "its group may write", "somebody else's")
        if (key, how) != ("log", "its group may write")  # which may: no name in it is trusted
    ],
)
def test_a_directory_that_others_command_is_not_used(instance: Instance, key: str, how: str) -> None:
    folder = place(instance, key)
    folder.mkdir(parents=True, mode=0o700)
    if how != "somebody else's":
        folder.chmod(0o777 if how == "everybody may write" else 0o770)
    elif os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    else:
        pytest.skip("only root can give a directory away")
    err = run(instance)
    assert str(folder) in err
    assert f"{how} there" in err or f"it belongs to the user {user_named(NOBODY)}" in err
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


@as_root
@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("what", ["jobcron.conf", ".", "base/base.conf", "base"])
def test_a_configuration_of_another_user_is_refused_with_what_to_do(tmp_path: Path, what: str) -> None:
    write_configuration(tmp_path)
    load_settings(str(tmp_path))  # the second time it would be read from what is kept
    os.chown(tmp_path / what, NOBODY, NOBODY)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(str(tmp_path))
    assert f"{(tmp_path / what).resolve()} belongs to the user {user_named(NOBODY)}: chown root " in str(
        caught.value
    )


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("how", ["a folder above", "a link's folder", "a link's target"])
def test_a_configuration_that_everybody_may_replace_on_the_way_is_refused(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "above" / "inst"
    folder.mkdir(parents=True)
    write_configuration(folder)
    (tmp_path / "links").mkdir()
    (folder / "base").rename(tmp_path / "links" / "base")
    (folder / "base").symlink_to(tmp_path / "links" / "base")
    load_settings(str(folder))
    opened = {"a folder above": folder.parent, "a link's folder": folder, "a link's target": tmp_path / "links"}[
        how
    ]
    opened.chmod(0o777)
    with pytest.raises(ConfigurationError, match=f"everybody may write: chmod o-w {opened}"):
        load_settings(str(folder))
    opened.chmod(0o1777)
    if how != "a link's folder":
        load_settings(str(folder))


@as_root
@pytest.mark.feature("LP-13", "LP-28")
@pytest.mark.parametrize("how", ["everybody may write", "somebody else's"])
def test_roles_and_control_files_that_others_command_are_not_used(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.cfg"
    path.write_text("[DEFAULT]\nenabled: false\n")
    assert not Control(str(path)).ask("x").is_enabled
    if how == "everybody may write":
        path.chmod(0o666)
    else:
        os.chown(path, NOBODY, NOBODY)
    verdict = Control(str(path)).ask("x")
    assert verdict.is_enabled
    assert verdict.is_problem
    assert str(path) in verdict.reason
    with pytest.raises(ConfigurationError, match=f"{path}: expected a file and a directory"):
        read_roles([str(path)])


@pytest.mark.feature("LP-29")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_a_pipe_in_the_place_of_the_kept_settings_holds_nothing_up(tmp_path: Path, mode: int) -> None:
    write_configuration(tmp_path)
    state = tmp_path / "state"
    state.mkdir()
    os.mkfifo(state / "compiled-settings.json")
    state.chmod(mode)
    assert load_settings(str(tmp_path)).state_dir == str(state)


@pytest.mark.feature("LP-18", "LP-25")
@on_sqlite
@pytest.mark.parametrize("name", ["locks/act.lock", "compiled-settings.json", "oops", "mail", "log/act.log", "p"])
def test_nothing_is_written_through_a_link_that_was_planted(instance: Instance, name: str) -> None:
    victim, files = instance.path / "victim", instance.path / "victims"
    victim.write_text("precious")
    files.mkdir()
    day = f"oops/{datetime.now(UTC):%Y-%m-%d}"
    root = {"mail": instance.path, "log/act.log": instance.path, "p": instance.path}.get(name, instance.state)
    link = root / (day if name == "oops" else name)
    link.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    link.symlink_to(files if name in ("oops", "mail") else victim)
    if name in ("oops", "mail"):
        if os.geteuid() != 0:
            pytest.skip("only root can plant a link of somebody else's")
        os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    instance.act(("raise", "value"), tell=["a@example.com"])
    options = [f"--log-file=DEBUG:{instance.path / 'log' / 'act.log'}", "--profile", str(instance.path / "p")]
    status, err = leave(instance, "run", "act", *options)
    assert status == {"locks/act.lock": 1, "log/act.log": 2, "p": 2}.get(name, 0), err
    assert victim.read_text() == "precious"
    assert list(files.iterdir()) == []


@pytest.mark.feature("LP-18")
@on_sqlite
def test_no_outage_is_noted_through_a_link_that_was_planted(instance: Instance) -> None:
    victim = instance.path / "victim"
    victim.write_text("precious")
    instance.state.mkdir(mode=0o700)
    away = f"sqlite:///{instance.path}/no/such/folder/x.db"
    for name in ("act.outage", f"act.outage.{os.getpid()}"):  # the second one is where it is written first
        (instance.state / name).symlink_to(victim)
    assert outage.reason_of(str(instance.state / "act.outage")) is None
    assert outage.begin(str(instance.state / "act.outage"), "away")
    assert victim.read_text() == "precious"
    status, err = leave(instance, "run", "act", extra_env={"JOBCRON_DATABASE_URL": away})
    assert status == 1
    assert "cannot connect" in err or "cannot begin" in err
    assert victim.read_text() == "precious"
    assert (instance.state / "act.outage").is_file()
    assert not (instance.state / "act.outage").is_symlink()


@as_root
@pytest.mark.feature("LP-35")
def test_a_profile_is_not_written_into_a_file_of_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "profile"
    path.write_text("precious")
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(OSError, match=f"it belongs to the user {user_named(NOBODY)}"):
        open_profile(str(path))


@pytest.mark.feature("LP-18")
@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".x", "x" * 65])
def test_a_lock_has_a_name_that_may_meet_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a lock to be named by a letter"):
        RunLock(str(tmp_path / "locks"), name)


@pytest.mark.feature("LP-29")
@on_sqlite
def test_what_jobcron_makes_is_closed_to_others_whatever_the_umask(
    instance: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = os.umask(0)
    try:
        init(str(tmp_path / "inst"), None, "fooapp")
        conf = tmp_path / "inst" / "jobcron.conf"
        conf.write_text(conf.read_text().replace("application: fooapp", ""))
        upgrade(str(conf.parent))
    finally:
        os.umask(old)
    state = tmp_path / "inst" / "var"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.glob("jobs.db*")} == {0o600}
    check_config(str(conf.parent))
    assert "others may read" not in capsys.readouterr().out
    state.chmod(0o750)
    check_config(str(conf.parent))
    assert f"key state_dir: others may read what is in {state}: chmod go= {state}" in capsys.readouterr().out


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
