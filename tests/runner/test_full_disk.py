"""No room on the disk: a failure is kept all the same, in the database and on standard error; no job is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus

# Files cannot grow beyond this many bytes, as on a device that is full, but for the database, which is written by
# somebody else (PostgreSQL) or had its room before.
LIMITED = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
sys.argv[0] = "jobcron"
runpy.run_module("jobcron.commands", run_name="__main__")
"""


def run_limited(instance: Instance, limit: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a section where no file can grow beyond `limit` bytes."""
    command = ["run", "act", "--config", str(instance.path), *arguments]
    return subprocess.run(
        [sys.executable, "-B", "-c", LIMITED, str(limit), *command],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.feature("LP-19", "LP-25")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_report_that_finds_no_room_is_kept_in_the_database_and_said(instance: Instance) -> None:
    bad, good = instance.act(("write", "never"), ("raise", "value")), instance.act(("write", "done"))
    done = run_limited(instance, 100)
    assert done.returncode == 0
    assert "could not be published (OSError: [Errno 27] File too large)" in done.stderr
    row = instance.row(bad)
    assert row.status is JobStatus.FAILED
    assert row.oops_id is not None
    ((detail,),) = instance.query("SELECT detail FROM jobcron_event WHERE job = :job", job=bad)
    assert "no such foo" in detail
    assert row.oops_id in detail
    assert instance.row(good).status is JobStatus.COMPLETED
    assert instance.oopses() == []
    assert [p for p in (instance.state / "oops").rglob("*") if p.is_file()] == []  # no half a report either


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_file_that_finds_no_room_loses_no_job(instance: Instance, tmp_path: Path) -> None:
    """SQLite's own file cannot grow: nothing is committed, nothing is lost, and the message says why."""
    instance.command("run", "act")  # what is written once is written
    path = Path(str(instance.database.engine.url.database))
    jobs = [instance.act(("write", "x" * 5000)) for _ in range(3)]
    instance.database.close()  # the last connection brings the write-ahead log home
    done = run_limited(instance, path.stat().st_size + 4096)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr, done.stderr
    for job in jobs:
        if instance.row(job).status is JobStatus.RUNNING:
            instance.end_lease(job)
    instance.query("UPDATE jobcron_job SET scheduled_start = date_created WHERE status = 0")
    instance.command("run", "act")
    assert [instance.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 3
    assert len(instance.ledger()) == 3
