"""Child processes are a group of their own, and are killed whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from instances import Instance, wait_until
from jobcron import JobStatus

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def is_alive(number: int) -> bool:
    """Tell whether a process runs; one that waits for its parent to ask does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.feature("LP-24")
@on_sqlite
@pytest.mark.parametrize("end", [("write", "x"), ("raise", "value"), ("kill", ""), ("sleep", 600)])
def test_a_job_s_process_is_killed_with_all_that_it_started_and_nobody_else(
    instance: Instance, tmp_path: Path, end: tuple[str, object]
) -> None:
    instance.configure(
        "grace_seconds: 1s",
        sections="[act]\nsource_interface: fooapp.IActJobSource\nrunner_class: ProcessJobRunner\n",
    )
    path = tmp_path / "spawned"
    job = instance.act(("spawn", str(path)), end)
    run = instance.start("act")
    if end[0] == "sleep":
        wait_until(lambda: path.exists() and path.read_text(), "the job")
        run.terminate()
    run.communicate(timeout=60)
    assert instance.row(job).status is not JobStatus.RUNNING
    group, program = map(int, path.read_text().split())
    assert group not in (os.getpgid(0), run.pid)
    wait_until(lambda: not is_alive(program), "the program's end", 5)
    assert run.returncode in (0, 1, 143, -15)
