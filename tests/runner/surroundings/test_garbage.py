"""The search for garbage passes over what a script imported."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from instances import Instance
from jobcron.testing import run_script


@pytest.mark.feature("LP-01")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_script_looks_for_no_garbage_in_what_it_imported_and_a_test_s_process_is_left_alone(
    instance: Instance, tmp_path: Path
) -> None:
    script = tmp_path / "act.py"
    script.write_text(
        f"#!{sys.executable}\nimport atexit, gc, sys\nfrom jobcron.scripts.job_script import JobCronScript\n"
        "def seen(name): return any(thing is vars(sys.modules[name]) for thing in gc.get_objects())\n"
        "atexit.register(lambda: print(*map(seen, ('sqlalchemy', 'fooapp')), gc.get_threshold()[0]))\n"
        "JobCronScript(commandline_config=True).lock_and_run()\n"
    )
    script.chmod(0o755)
    instance.act(("write", "x"))
    _, out, _ = run_script(script, ["act"], extra_env={"JOBCRON_CONFIG": str(instance.path)})
    assert out == f"False False {gc.get_threshold()[0]}\n"
    instance.act(("write", "x"))
    before = gc.get_freeze_count()
    instance.run("act")
    assert gc.get_freeze_count() <= before
    assert len(instance.ledger()) == 2
