"""Make jobs of `failingapp`, and read what their failures leave: reports, details, secrets."""

from __future__ import annotations

import json
import re
from typing import Any

from failingapp import SECTIONS, FailJob
from instances import Instance


def fail(instance: Instance, kind: str = "value", **data: Any) -> int:
    """Commit a job that fails so, and return its number."""
    instance.configure(sections=SECTIONS)
    with instance.session() as session:
        return int(FailJob.create(session=session, metadata={"kind": kind, **data}).job.id)


def report_of(instance: Instance) -> dict[str, Any]:
    """Return the one report that there is."""
    (path,) = instance.oopses()
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def details(instance: Instance, job: int) -> str:
    """Return the details of a job's events."""
    return "\n".join(d or "" for (d,) in instance.query("SELECT detail FROM jobcron_event WHERE job = :j", j=job))


CANARY = "c4nary-s3cret"


def everything_written(instance: Instance, log: str) -> str:
    """Return all that a run wrote: reports, mail, log, rows."""
    texts = [log]
    for folder in ("state", "mail"):
        files = [p for p in (instance.path / folder).rglob("*") if p.is_file()]
        texts += [p.read_bytes().decode("utf-8", "replace") for p in files if p.name != "compiled-settings.json"]
    for table in ("jobcron_event", "jobcron_run"):
        texts += [repr(row) for row in instance.query(f"SELECT * FROM {table}")]
    texts += [repr(row) for row in instance.query("SELECT log, result, description, oops_id FROM jobcron_job")]
    return "\n".join(texts)


def leaks(instance: Instance, log: str) -> list[str]:
    """Return the canaries that a run let out, in some words around them."""
    text = everything_written(instance, log)
    assert "it failed" in text
    return sorted({match[0] for match in re.finditer(rf".{{0,20}}{CANARY}\w*", text)})
