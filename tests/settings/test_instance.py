"""The settings that `load_settings` returns are those of the command that runs."""

from __future__ import annotations

import pytest

from conftest import Instance, run_jobcron

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.feature("DBQ-06", "LP-29")
@on_sqlite
def test_a_creation_hook_finds_the_settings_of_the_command_that_calls_it(instance: Instance) -> None:
    (instance.path / "hooked.py").write_text(
        "from jobcron import load_settings\nfrom pathlib import Path\n"
        "def work(job): pass\n"
        "def made(job): Path(__file__).with_name('found').write_text(load_settings().path)\n"
    )
    instance.configure(sections="[some]\ntasks: hooked.work\ncreation_hook: hooked.made\n")
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("python_path: ", f"python_path: {instance.path} "))
    run_jobcron("--config", str(instance.path), "create_job", "some")
    assert (instance.path / "found").read_text() == str(path)
