"""One's own cron script: its configuration, its status, its crash."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus
from jobcron.testing import run_script
from paths import APPS
from script_runs import do_foo

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before there is a database."""


OWN_SCRIPT = '''\
#!{python}
"""Do Foo."""

import sys

sys.path.insert(0, "{tests}")

from fooapp import IDoFooJobSource
from jobcron import JobCronScript, globalErrorUtility


class RunDoFoo(JobCronScript):
    """Run DoFooJob jobs."""

    # Point JobCronScript to the config section that tells it what to do.
    config_name = "do_foo"

    # Tell JobCronScript the jobs utility that finds pending jobs.
    source_interface = IDoFooJobSource

    def main(self):
        globalErrorUtility.configure(self.config_name)
        return super().main()


if __name__ == "__main__":
    script = RunDoFoo()
    script.lock_and_run()
'''


def own_script(folder: Path, source: str = OWN_SCRIPT) -> Path:
    """Write a cron script, and return its file."""
    path = folder / "do-foo.py"
    path.write_text(source.format(python=sys.executable, tests=APPS))
    path.chmod(0o755)
    return path


@pytest.mark.feature("LP-14", "LP-30")
def test_the_wikis_own_cron_script_runs_all_pending_jobs(instance: Instance, tmp_path: Path) -> None:
    job = do_foo(instance)
    script = own_script(tmp_path)
    env = {"JOBCRON_CONFIG": str(instance.path)}
    status, out, err = run_script(script, [], expect_returncode=0, extra_env=env, cwd="/")
    assert (status, out) == (0, "")
    assert "INFO    Ran 1 DoFooJob jobs.\n" in err
    assert instance.row(job).status is JobStatus.COMPLETED
    assert [p.name for p in (instance.state / "locks").iterdir()] == ["do_foo.lock"]
    assert instance.query("SELECT name, completed FROM jobcron_run") == [("do_foo", 1)]
    # Nothing to do: the same script, the short way.
    assert run_script(script, extra_env=env) == (0, "", "")


@pytest.mark.feature("LP-14")
@on_sqlite
def test_ones_own_script_takes_the_configuration_as_an_option_and_no_section(
    instance: Instance, tmp_path: Path
) -> None:
    job = do_foo(instance)
    script = own_script(tmp_path)
    _, _, err = run_script(script, ["do_foo"], 2)
    assert "usage: do-foo.py" in err
    run_script(script, ["--config", str(instance.path)])
    assert instance.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-14")
@on_sqlite
def test_ones_own_script_without_a_config_name_says_so(instance: Instance, tmp_path: Path) -> None:
    script = own_script(tmp_path, OWN_SCRIPT.replace('config_name = "do_foo"', "pass"))
    _, _, err = run_script(script, [], 2, extra_env={"JOBCRON_CONFIG": str(instance.path)})
    assert "expected RunDoFoo to set config_name" in err
    assert "Traceback" not in err


@pytest.mark.feature("LP-14")
@on_sqlite
def test_the_result_of_ones_own_main_is_the_status(instance: Instance, tmp_path: Path) -> None:
    script = own_script(tmp_path, OWN_SCRIPT.replace("return super().main()", "return 7"))
    assert run_script(script, [], 7, extra_env={"JOBCRON_CONFIG": str(instance.path)}) == (7, "", "")


@pytest.mark.feature("LP-14", "LP-26")
@on_sqlite
def test_a_crash_of_ones_own_main_is_reported(instance: Instance, tmp_path: Path) -> None:
    script = own_script(tmp_path, OWN_SCRIPT.replace("return super().main()", "raise ValueError('oh dear')"))
    _, out, err = run_script(script, [], 1, extra_env={"JOBCRON_CONFIG": str(instance.path)})
    (report,) = instance.oopses()
    assert out == ""
    assert report.name in err
    assert "oh dear" in err
