"""Create and inspect jobs of several tasks: the sections of `stepsapp`, and what tests of steps share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import stepsapp  # noqa: F401 (its jobs are defined by that)
from jobcron.steps import create, job_class

if TYPE_CHECKING:
    from instances import Instance

SECTIONS = """
[act]
source_interface: fooapp.IActJobSource

[plain]
source_interface: stepsapp.Plain

[hooked]
source_interface: stepsapp.Hooked

[decorated]
source_interface: stepsapp.Decorated

[configured]
tasks: stepsapp.first
    stepsapp.second
creation_hook: stepsapp.on_creation
queue: cats

[cats]
queue: cats

[all_default]
queue: default
"""


def make(steps: Instance, name: str, workspace: dict[str, Any] | None = None, **values: Any) -> int:
    """Commit a job, and return its number."""
    with steps.session() as session:
        return int(create(name, workspace=workspace, session=session, **values).id)


def look(steps: Instance, name: str, job_id: int) -> dict[str, Any]:
    """Return what a caller sees of a job."""
    with steps.database.session(writing=False) as session:
        job = job_class(name).get(job_id, session=session)
        return {
            "state": job.state,
            "next": job.next_task.rpartition(".")[2],
            "workspace": job.workspace,
            "counts": (job.attempt_count, job.crash_count),
        }


def notes(steps: Instance, job_id: int) -> list[str]:
    """Return what the ledger says of a job."""
    return [note for _, _, note in steps.ledger(job_id)]


DEEP = '{"a": ' + "[" * 50_000 + "]" * 50_000 + "}"
"""More than Python's reader of JSON takes."""
