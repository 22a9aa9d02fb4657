"""Make jobs of `misbehavingapp`, and look at the processes that ran them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import misbehavingapp
from instances import Instance

SECTIONS = """
[harsh]
source_interface: misbehavingapp.HarshJob
runner_class: ProcessJobRunner
max_workers: {workers}

[long]
source_interface: misbehavingapp.LongJob
runner_class: TwistedJobRunner

[in_process]
source_interface: misbehavingapp.HarshJob
"""


def configure(instance: Instance, workers: int = 1, lock_dir: Path | None = None) -> None:
    """Write the configuration."""
    more = f"lock_dir: {lock_dir}" if lock_dir else ""
    instance.configure(more, SECTIONS.format(workers=workers))
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "misbehavingapp"))


def make(instance: Instance, *things: str, **values: Any) -> list[int]:
    """Commit a job for each thing to do, and return their numbers."""
    with instance.session() as session:
        return [misbehavingapp.HarshJob.create(do=thing, session=session, **values).id for thing in things]


def processes(instance: Instance) -> dict[int, int]:
    """Return the process of each job whose work was committed."""
    return dict(instance.query("SELECT job, number FROM process ORDER BY id"))


def reports(instance: Instance) -> list[dict[str, Any]]:
    """Return what all reports say."""
    return [json.loads(path.read_text()) for path in instance.oopses()]


def is_alive(number: int) -> bool:
    """Tell whether a process lives and is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
