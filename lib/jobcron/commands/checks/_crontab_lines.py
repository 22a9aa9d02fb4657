"""Sections that no line of a crontab runs: their jobs wait, and nothing says so."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, select

from jobcron.commands._output import Finding
from jobcron.database.clock import database_now
from jobcron.database.tables import Run
from jobcron.settings.settings import Settings

SYSTEM_CRONTABS = ("/etc/crontab", "/etc/cron.d/*")

RECENTLY = timedelta(days=1)
"""A section that has run within this time is run by somebody: a timer of systemd, or another user's crontab."""

SECONDS = 5


def sections_without_line(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Warn of the sections that no crontab names, and that have not run lately; or say why nobody can know.

    Args:
        connection: only read.
        settings: the instance's.
    """
    since = connection.execute(select(database_now())).scalar_one() - RECENTLY
    ran = set(connection.scalars(select(Run.name).where(Run.date_completed > since).distinct()))
    silent = [section for section in settings.sections.values() if section.name not in ran]
    lines = _crontab_lines() if silent else []
    if isinstance(lines, str):
        told = ", ".join(section.name for section in silent)
        yield Finding(f"lines of crontabs: not read, because {lines}; not run for a day: {told}")
        return
    for section in silent:
        names = [section.name, "--all", *([section.crontab_group] if section.crontab_group else [])]
        if not any(_names(line, name) for line in lines for name in names):
            yield Finding(
                f"section {section.name}: no line of this user's or the machine's crontabs runs it, and it has "
                "not run for a day: `jobcron crontab` prints the line",
                is_warning=True,
            )


def _names(line: str, name: str) -> bool:
    return re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w./-])", line) is not None


def _crontab_lines() -> list[str] | str:
    """Return the lines of the crontabs that can be read; if the user's own cannot be asked for, why, in words."""
    program = shutil.which("crontab")
    if program is None:
        return "there is no program crontab"
    try:
        done = subprocess.run([program, "-l"], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"`crontab -l` failed: {error}"
    if done.returncode != 0 and "no crontab" not in done.stderr:
        return f"`crontab -l` failed: {done.stderr.strip() or f'status {done.returncode}'}"
    texts = [done.stdout]
    for pattern in SYSTEM_CRONTABS:
        for path in Path("/").glob(pattern.lstrip("/")):
            with suppress(OSError, ValueError):  # it may be for root alone
                texts.append(path.read_text(encoding="utf-8"))
    return [line for text in texts for line in text.splitlines() if not line.lstrip().startswith("#")]
