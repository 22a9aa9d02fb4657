"""The ``jobcron`` command: it knows its subcommands, and imports only what it was asked for."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands import jobcron
from configurations import GOOD, JOBS
from instances import Instance
from jobcron.commands.main import COMMANDS, DJANGO_COMMANDS, SCRIPTS, main, module_of
from paths import JOBCRON

HEAVY = ("sqlalchemy", "zope.interface", "lazr.config")


def help_of(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command line with ``--help`` prints."""
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_subcommand_says_how_it_is_used(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["jobcron"])  # a script puts its own name there
    assert help_of(name, capsys=capsys).startswith(f"usage: jobcron {name} ")


@pytest.mark.parametrize("name", DJANGO_COMMANDS)
def test_commands_of_django_db_queue_are_known_by_their_old_names(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = name.replace("-", "_")
    assert help_of(old, capsys=capsys) == help_of(name, capsys=capsys)


def test_the_help_names_each_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(capsys=capsys)
    found = [line.split()[0] for line in text.splitlines() if line.startswith("    ") and line[4] != " "]
    assert found == list(COMMANDS)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - set(SCRIPTS)))
def test_a_subcommand_is_in_the_file_of_its_name(name: str) -> None:
    assert importlib.util.find_spec(module_of(name)) is not None


def test_no_subcommand_is_status_2_and_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: jobcron ")


def status_and_heavy_modules(*arguments: str) -> list[str]:
    """Run a subcommand in a process of its own; return its status, and the names in HEAVY that it imported."""
    code = (
        "import sys\n"
        "from jobcron.commands.main import main\n"
        "try:\n"
        f"    status = main({list(arguments)})\n"
        "except SystemExit as error:\n"
        "    status = error.code\n"
        f"print(status, *(name for name in {HEAVY} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--version",), "0"),
        (("--help",), "0"),
        (("run", "--help"), "0"),
        (("frobnicate",), "2"),
        (("run", "x", "--log-file="), "2"),
        (("crontab", "--config", "/nowhere"), "2"),
    ],
)
def test_what_needs_no_database_imports_none(arguments: tuple[str, ...], status: str) -> None:
    assert status_and_heavy_modules(*arguments) == [status]


@pytest.mark.parametrize(
    "url", ["sqlite:///data/app.db", "postgresql://me:pw@db.example:5433/app", "postgres:///app"]
)
def test_crontab_imports_no_orm_also_when_it_reads_the_configuration_for_the_first_time(
    tmp_path: Path, url: str
) -> None:
    (tmp_path / "state").mkdir()  # where the settings are kept once they are read
    path = tmp_path / "jobcron.conf"
    path.write_text(GOOD.replace("sqlite:///foo.db", url) + JOBS)
    first, again = (status_and_heavy_modules("crontab", "--config", str(path)) for _ in range(2))
    assert (first[0], "sqlalchemy" in first) == ("0", False)
    assert again == ["0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("init", "x", "--database-url", "mysql://me:hunter2@db"),
            "to name sqlite or postgresql (psycopg2 or psycopg), got 'mysql'",
        ),
        (("crontab", "--config", "nowhere"), "expected --config to be the path of a directory"),
        (("--config", "nowhere", "crontab"), "expected --config to be the path of a directory"),
        (("frobnicate",), "invalid choice: 'frobnicate'; `jobcron --help` lists the subcommands"),
        (("retyr", "1"), "invalid choice: 'retyr'; did you mean retry?"),
        (("--config", "nowhere", "chekc_config"), "'chekc_config'; did you mean check-config?"),
        ((), "usage: jobcron"),
        (("run", "x", "--log-file=NOISE:/tmp/x"), "expected LEVEL:FILE with one of DEBUG, INFO"),
        (("run", "x", "--log-file="), "expected LEVEL:FILE"),
        (("--log-file=/tmp/x", "run", "x"), "its options after it, got first: --log-file=/tmp/x"),
        (
            ("channels", "set", "root", "--capacty=2"),
            "jobcron channels: error: unrecognized arguments: --cap",
        ),
        (("channels", "set", "root", "--capacty=2"), "; did you mean --capacity?"),
        (("check-config", "--jsn"), "[--json] [--explain]"),
        (("check-config", "--jsn"), "unrecognized arguments: --jsn; did you mean --json?"),
        (("run", "x", "--verbos-names"), "usage: jobcron run"),
        (("prune", "--dry-rn"), "jobcron prune: error: unrecognized arguments: --dry-rn; did you mean --dry-run?"),
        (
            ("requeue", "1", "--spred=1m"),
            "jobcron retry: error: unrecognized arguments: --spred=1m; did",
        ),
        (("jobs", "extra"), "jobcron jobs: error: unrecognized arguments: extra\n"),
        (("--config", "nowhere", "--json", "jobs"), "its options after it, got first: --json"),
    ],
)
def test_a_mistake_on_the_command_line_is_a_message(arguments: tuple[str, ...], message: str) -> None:
    _, err = jobcron(*arguments, expect=2)
    assert message in err
    assert "hunter2" not in err


@pytest.mark.parametrize(
    "line",
    [
        "--config {path} run -q do_foo",
        "--config={path} run do_foo -q",
        "run -q --config {path} do_foo",
        "--config {path} process-job-sources --all --exclude act",
        "--config {path} prune -q",
        "--config {path} jobs --count",
        "jobs --count --config {path}",
        "--config nowhere jobs --count --config {path}",
        "crontab --mail-to me@example.com --config={path}",
        "--config {path} check-runs do_foo",
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_instance_may_be_named_before_and_behind_every_subcommand(
    instance: Instance, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.run("do_foo")  # what has run is healthy
    monkeypatch.setenv("JOBCRON_CONFIG", "another")
    jobcron(*line.format(path=instance.path).split(), expect=0)


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"jobcron \d+\.\d+\.\d+\n", jobcron("--version")[0])


@pytest.mark.parametrize("command", ["crontab", "check-config", "init", "upgrade"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_standard_output_that_takes_nothing_is_a_message(instance: Instance, command: str) -> None:
    env = {**os.environ, "JOBCRON_CONFIG": str(instance.path)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [JOBCRON, command], stdout=full, stderr=subprocess.PIPE, text=True, env=env, check=False
        )
    message = "jobcron: expected standard output to be writable, got: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.parametrize(
    "options", [["--config", "nowhere", "crontab"], ["run", "nowhere"], ["run"], ["nonsense"]]
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_mistake_that_cannot_be_told_keeps_its_status(instance: Instance, options: list[str]) -> None:
    env = {**os.environ, "JOBCRON_CONFIG": str(instance.path)}
    with open("/dev/full", "w") as full:
        assert subprocess.run([JOBCRON, *options], stderr=full, env=env, check=False).returncode == 2
