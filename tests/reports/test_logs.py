"""The log of scripts: standard error and log files, and what becomes of it on a full disk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus
from jobcron.testing import run_script
from paths import APPS, JOBCRON
from script_runs import RUN_JOBS, do_foo, reconfigure

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before there is a database."""


@pytest.mark.feature("LP-16")
@on_sqlite
def test_control_characters_do_not_reach_the_log(instance: Instance) -> None:
    (instance.path / "oddapp.py").write_text(
        textwrap.dedent("""
        from fooapp import *
        class Odd(ActJob):
            class_job_type = None
            def run(self):
                raise UserError("red\\x1b[31m bell\\x07 line\\nINFO    Ran 7 forged jobs.")
        ActJob.run = Odd.run
        """)
    )
    reconfigure(instance, application="oddapp", python_path=f"{APPS} {instance.path}")
    instance.act()
    _, err = instance.command("run", "act", "-v")
    assert "red\\x1b[31m bell\\x07" in err
    assert not re.search("[\x00-\x08\x0b-\x1f]", err)
    assert not re.search("^INFO    Ran 7 forged jobs", err, re.MULTILINE)


@pytest.mark.feature("LP-16")
@on_sqlite
def test_the_testrunner_instance_logs_without_times(instance: Instance, tmp_path: Path) -> None:
    do_foo(instance)
    folder = tmp_path / "testrunner-mine"
    folder.mkdir()
    instance.path.joinpath("jobcron.conf").rename(folder / "jobcron.conf")
    _, _, err = run_script(RUN_JOBS, ["--config", str(folder), "do_foo"])
    assert err == "INFO    Ran 1 DoFooJob jobs.\n"


PYTHON = sys.executable


@pytest.mark.feature("LP-16")
def test_a_log_file_has_its_own_level_and_its_own_times(instance: Instance) -> None:
    instance.act()
    log = instance.path / "logs" / "act.log"
    _, err = instance.command("run", "act", "-q", "-q", f"--log-file=debug:{log}")
    assert err == ""
    lines = log.read_text().splitlines()
    assert [line[20:27] for line in lines] == ["DEBUG  ", "INFO   "]
    assert lines[1].endswith("Ran 1 ActJob jobs.")
    assert log.stat().st_mode & 0o777 == 0o600
    instance.act()
    _, err = instance.command("run", "act", f"--log-file={log}")
    assert "Ran 1 ActJob jobs." in err
    assert len(log.read_text().splitlines()) == 3  # appended, INFO by default
    before = log.read_bytes()
    instance.command("run", "act", f"--log-file={log}")
    assert log.read_bytes() == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_tick_with_nothing_to_do_writes_no_log_and_knows_that_it_could(instance: Instance) -> None:
    instance.command("run", "act")
    log = instance.path / "logs" / "act.log"
    assert instance.command("run", "act", f"--log-file=DEBUG:{log}") == ("", "")
    assert log.read_bytes() == b""
    assert log.stat().st_mode & 0o777 == 0o600
    for path, said in (
        ("/proc/x/y.log", "the folder /proc/x"),
        (str(log.parent), "to be a file that can be written"),
    ):
        for script in (("run", "act"), ("process-job-sources", "--all")):
            _, err = instance.command(*script, f"--log-file={path}", expect=2)
            assert "ERROR   " in err
            assert said in err


def test_a_log_file_that_is_rotated_away_is_made_again(instance: Instance, tmp_path: Path) -> None:
    log, moved, gate = tmp_path / "act.log", tmp_path / "act.log.1", tmp_path / "gate"
    instance.act(("touch", str(tmp_path / "started")), ("wait_for", str(gate)))
    with subprocess.Popen(
        [JOBCRON, "--config", instance.path, "run", "act", f"--log-file=DEBUG:{log}"], stderr=subprocess.DEVNULL
    ) as run:
        while not (tmp_path / "started").exists():
            assert run.poll() is None
        log.rename(moved)
        gate.touch()
        assert run.wait(60) == 0
    assert "Running ActJob" in moved.read_text()
    assert "Ran 1 ActJob jobs." in log.read_text()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_log_file_that_cannot_be_opened_stops_the_run_before_any_job(instance: Instance, tmp_path: Path) -> None:
    job = instance.act()
    (tmp_path / "elsewhere.log").touch()
    (tmp_path / "link.log").symlink_to(tmp_path / "elsewhere.log")
    for path in (tmp_path / "link.log", instance.path, Path("/proc/x/y.log")):
        _, err = instance.command("run", "act", f"--log-file={path}", expect=2)
        assert "--log-file: " in err
        assert "Traceback" not in err
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.parametrize("name", ["file", "standard error", "both"])
def test_a_full_disk_while_logging_does_not_stop_a_run(instance: Instance, tmp_path: Path, name: str) -> None:
    jobs = [instance.act(("write", "done")), instance.act(("raise", "value")), instance.act(("write", "done"))]
    code = (
        "import os, sys, jobcron.reports.logs as logs\n"
        "write = os.write\n"
        "def full(descriptor, data):\n"
        "    if os.readlink(f'/proc/self/fd/{descriptor}').endswith('full.log'):\n"
        "        raise OSError(28, 'No space left on device')\n"
        "    return write(descriptor, data)\n"
        "os.write = full\n"
        "from jobcron.commands.main import main\n"
        "sys.exit(main())\n"
    )
    log = "full.log" if name != "standard error" else "good.log"
    arguments = ["--config", str(instance.path), "run", "act", "-v", "-v", f"--log-file=DEBUG:{tmp_path / log}"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [PYTHON, "-c", code, *arguments],
            stderr=subprocess.PIPE if name == "file" else full,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 0
    assert done.stdout == ""
    if name == "file":
        assert done.stderr.count("cannot be written: No space left on device") == 1
        assert "Ran 2 ActJob jobs." in done.stderr
        assert "Traceback" not in done.stderr
    if name == "standard error":
        assert "Ran 2 ActJob jobs." in (tmp_path / log).read_text()
    assert [instance.row(job).status.name for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert len(instance.oopses()) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_log_file_that_cannot_be_opened_hides_no_other_mistake(instance: Instance) -> None:
    _, err = instance.command("run", "nowhere", "--log-file=/proc/x/y.log", expect=2)
    assert "--log-file: expected the folder /proc/x" in err
    assert "expected a section [nowhere], found none" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_pipe_that_nobody_reads_is_no_log_file(instance: Instance) -> None:
    job = instance.act()
    os.mkfifo(instance.path / "pipe.log")
    _, err = instance.command("run", "act", f"--log-file={instance.path / 'pipe.log'}", expect=2, timeout=30)
    assert "pipe.log to be a file that can be written" in err
    assert instance.row(job).status is JobStatus.WAITING


@pytest.mark.parametrize("place", ["full", "closed"])
def test_a_full_disk_does_not_stop_a_run_that_cannot_say_so(instance: Instance, place: str) -> None:
    """As the crontab starts it: nothing but errors on standard error, which nobody can read either."""
    jobs = [instance.act(("write", "done")), instance.act(("raise", "value")), instance.act(("write", "done"))]
    log = instance.path / "full.log"
    log.symlink_to("/dev/full")  # followed here, and only here
    code = (
        "import os, sys\n"
        "os.O_NOFOLLOW = 0\n"
        "os.lstat = os.stat\n"
        "from jobcron.commands.main import main\n"
        "sys.exit(main())\n"
    )
    shell = f'exec "$@" 2>{"/dev/full" if place == "full" else "&-"}'
    arguments = ["--config", str(instance.path), "run", "act", "-q", "-q", f"--log-file=DEBUG:{log}"]
    done = subprocess.run(
        ["sh", "-c", shell, "sh", PYTHON, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert [instance.row(job).status.name for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_half_a_line_in_the_log_file_is_told_as_well(instance: Instance) -> None:
    instance.act()
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from jobcron.reports.logs import add_log_file, set_up_log\n"
        "logger = set_up_log(40, True)\n"
        "add_log_file(20, sys.argv[1], '--log-file')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))\n"
        "logger.info('what is longer than there is room for')\n"
    )
    done = subprocess.run(
        [PYTHON, "-c", code, str(instance.path / "short.log")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr.count("short.log cannot be written: ") == 1
    assert "Traceback" not in done.stderr
