"""Run a tick, and see whether it took the full path, and what it cost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

from instances import Instance
from jobcron.scripts._telling.quiet_runs import NAME
from paths import JOBCRON, TOOLS

HEAVY = (
    "sqlalchemy",
    "zope",
    "lazr",
    "alembic",
    "oops",
    "cronsim",
    "zoneinfo",
    "logging",
    "fooapp",
    "jobcron.scripts._section_run",
    "jobcron.settings.reading",
)


def took_the_full_path(instance: Instance, section: str, expect: int = 0) -> bool:
    """Run a section, and tell whether it went beyond the tick."""
    out, _ = instance.command("run", section, expect=expect, program=TOOLS / "tick_probe.py")
    return {"True\n": True, "False\n": False}[out]


def let_it_look(instance: Instance, minutes: float = 15) -> None:
    """Let it be so long ago that a run looked around for its instance: the next run that is due looks."""
    then = time.time() - minutes * 60
    os.utime(instance.state / NAME, (then, then))


def imports_of(instance: Instance, section: str, expect: int = 0, *options: str) -> set[str]:
    """Run a section in a process of its own, and return which of the heavy modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", JOBCRON, "run", section, *options],
        env={**os.environ, "JOBCRON_CONFIG": str(instance.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == expect, done.stderr[-2000:]
    assert done.stdout == ""
    found = set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", done.stderr, re.MULTILINE))
    assert "jobcron.scripts.cron_script" in found
    return {heavy for heavy in HEAVY if any(m == heavy or m.startswith(f"{heavy}.") for m in found)}


def shifted(instance: Instance, seconds: float) -> str:
    """Return an SQL expression: so many seconds from now."""
    if instance.database.dialect == "postgresql":
        return f"statement_timestamp() + make_interval(secs => {seconds})"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '{seconds} seconds')"


def set_job(instance: Instance, job: int, **columns: str) -> None:
    """Set columns of a job to SQL expressions."""
    sets = ", ".join(f"{name} = {value}" for name, value in columns.items())
    instance.query(f"UPDATE jobcron_job SET {sets} WHERE id = {job}")
