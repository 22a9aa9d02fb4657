"""Run scripts of jobs in processes of their own, as cron does, and look at what they say and leave."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from fooapp import DoFooJob
from instances import Instance
from jobcron import JobStatus
from paths import ROOT

RUN_JOBS = ROOT / "cronscripts" / "run_jobs.py"


TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


def do_foo(instance: Instance, **values: Any) -> int:
    """Commit a DoFooJob, and return its number."""
    with instance.session() as session:
        return int(DoFooJob.create(instance.foo(session), session=session, **values).job.id)


def as_cron(instance: Instance, *arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Start run_jobs.py with an environment that has nothing but `env`, and `--config`."""
    return subprocess.run(
        [RUN_JOBS, "--config", instance.path, *arguments],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(instance: Instance, *arguments: str, expect: int, env: dict[str, str] | None = None) -> str:
    """Run a section that cannot be run; return the message."""
    out, err = instance.command("run", *(arguments or ("do_foo",)), expect=expect, extra_env=env or {})
    assert out == ""
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 2, err
    assert re.match(f"({TIME})?ERROR   ", err), err
    return err


def untouched(instance: Instance, job: int) -> None:
    """Check that nothing became of a job."""
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.lease_token, row.log) == (JobStatus.WAITING, 0, 0, None)
    assert instance.events(job) == []


def reconfigure(instance: Instance, **keys: str) -> None:
    """Replace lines of the configuration."""
    path = instance.path / "jobcron.conf"
    content = path.read_text()
    for key, value in keys.items():
        content, times = re.subn(f"^{key}: .*$", f"{key}: {value}".replace("\\", r"\\"), content, flags=re.M)
        assert times, key
    path.write_text(content)
