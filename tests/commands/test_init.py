"""``jobcron init``: writes an instance whose first job runs, and overwrites nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands import as_cron, jobcron
from jobcron import load_settings
from jobcron.commands._init import configuration
from jobcron.testing import run_script
from jobcron.testing.server import PrivatePostgreSQL
from paths import JOBCRON

PYTHON = sys.executable


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", ["inst", "an instance with 100% of “blanks”"])
def test_init_writes_an_instance_whose_first_job_runs_by_cron(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, name: str
) -> None:
    folder, options = tmp_path / name, []
    database = f"first_{os.getpid()}"
    if kind == "postgresql":
        server: PrivatePostgreSQL = request.getfixturevalue("server")
        server.create_database(database)
        options = ["--database-url", server.url(database)]
    out, err = jobcron("init", name, *options, cwd=tmp_path)
    assert err == ""
    assert re.findall(r"wrote (.*)", out) == [str(folder / "jobcron.conf"), str(folder / "first_job.py")]
    env = {"JOBCRON_CONFIG": str(folder)}
    jobcron("upgrade", env=env)
    for who in ("Ada", ""):
        _, said, _ = run_script(PYTHON, [str(folder / "first_job.py"), *who.split()], extra_env=env)
        assert re.fullmatch(r"Job [12] is waiting\.\n", said)
    out, _ = jobcron("crontab", "--mail-to", "ops@example.com", env=env)
    assert "MAILTO=ops@example.com\n" in out
    for run in as_cron(out, tmp_path):  # of the section, and of the pruning
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")  # cron has nothing to mail
    assert (folder / "greetings.txt").read_text() == "Hello, Ada!\nHello, world!\n"
    assert re.fullmatch(
        r"[-0-9]{10} [:0-9]{8} INFO    Ran 2 Greet jobs\.\n", (folder / "var/log/greet.log").read_text()
    )
    out, _ = jobcron("check-config", env=env)
    assert "\nerror" not in out
    if kind == "postgresql":
        server.drop_database(database)


def test_what_init_tells_to_do_next_works_as_it_is_printed(tmp_path: Path) -> None:
    out, _ = jobcron("init", cwd=tmp_path)
    steps = "\n".join(line.strip() for line in out.partition("Next:\n")[2].splitlines())
    path = f"{JOBCRON.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", steps], env={"PATH": path}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Job 1 is waiting." in done.stdout
    assert (tmp_path / "jobcron-instance" / "greetings.txt").exists()


def test_init_for_an_application_writes_its_configuration_alone(tmp_path: Path) -> None:
    out, _ = jobcron("init", "inst", "--application", "my.app:around", "--database-url", "postgresql://me@db/my")
    assert "first_job" not in out
    assert [path.name for path in (Path.cwd() / "inst").iterdir()] == ["jobcron.conf"]
    settings = load_settings(str(Path.cwd() / "inst"))
    assert settings.application == "my.app:around"
    assert settings.database_url == "postgresql+psycopg2://me@db/my"
    assert settings.sections == {}
    assert "# source_interface: my.app.DoFooJob" in (Path.cwd() / "inst/jobcron.conf").read_text()


def test_every_key_of_the_schema_is_in_the_configuration_that_init_writes() -> None:
    from jobcron.settings.reading import read_schema
    from jobcron.settings.settings import SCHEMA

    text = configuration(None, None)
    for section, keys in read_schema(Path(SCHEMA).read_text()).items():
        for key in keys if section not in ("job_schedule", "job_channel") else ():  # pages show those
            assert re.search(rf"^(# )?{key}: ", text, re.MULTILINE), key
    assert "datatype" not in text
    assert "[job_" not in text  # the schema's names for kinds of sections: none may be called so
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("present", ["jobcron.conf", "first_job.py"])
def test_init_overwrites_nothing(tmp_path: Path, present: str) -> None:
    (tmp_path / "inst").mkdir()
    (tmp_path / "inst" / present).write_text("mine")
    _, err = jobcron("init", "inst", expect=2)
    assert f"init: expected no {tmp_path / 'inst' / present}, it is there already: nothing was written" in err
    assert [path.read_text() for path in (tmp_path / "inst").iterdir()] == ["mine"]


def test_init_writes_nothing_where_everybody_may_write_or_that_everybody_may_change(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    _, err = jobcron("init", "open", expect=2)
    assert "expected " in err
    assert "chmod o-w" in err
    assert list((tmp_path / "open").iterdir()) == []
    subprocess.run(["sh", "-c", f"umask 0; {JOBCRON} init inst"], check=True, capture_output=True)
    for path in (tmp_path / "inst").iterdir():
        assert path.stat().st_mode & 0o022 == 0
    jobcron("init", "secret", "--database-url", "postgresql://me:hunter2@db/my")
    assert (tmp_path / "secret" / "jobcron.conf").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("init", "x", "--application", "not a module"), "--application: expected a module, or module:callable"),
        (("init", "x", "--application", "none"), "--application: expected a text that is not empty or none"),
        (("init", "x", "--application", "my.app\nmail: file:/tmp"), "--application: expected a text in one line"),
        (("init", "x", "--database-url", ""), "--database-url: expected a text that is not empty or none"),
        (("init", "x", "--database-url", "sqlite://"), "--database-url: expected a database in a file"),
        (("init", "x", "--database-url", "postgresql://me:hunter2@db/m\nmail: x"), "expected a text in one line"),
        (("init", ""), "init: expected a directory, got: ''"),
    ],
)
def test_init_writes_nothing_that_would_be_refused_later(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    _, err = jobcron(*arguments, expect=2)
    assert message in err
    assert "hunter2" not in err
    assert list(tmp_path.iterdir()) == []


def test_init_lets_nobody_else_write_in_the_folders_that_it_makes(tmp_path: Path) -> None:
    subprocess.run(["sh", "-c", f"umask 0; {JOBCRON} init a/b/inst"], check=True, capture_output=True)
    for path in (tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/inst"):
        assert path.stat().st_mode & 0o022 == 0, path
