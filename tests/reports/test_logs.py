"""The log of scripts: standard error and log files, and what becomes of it on a full disk."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from instances import Instance
from jobcron.testing import run_script
from paths import APPS
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
