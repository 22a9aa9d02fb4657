"""What may be wrong with the locks of sections of which one run goes on at a time on all hosts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection

from jobcron.operations.reasons import Finding, span
from jobcron.queue.health import Health
from jobcron.scripts.locks.lock_holder import cluster_holder
from jobcron.settings.settings import Settings

STALE = timedelta(minutes=10)
"""How long a lock may be left behind: the next run takes it."""


def lock_findings(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Find locks that are left behind, and hosts that do not agree whether a section has one."""
    for section in settings.sections.values():
        holder = cluster_holder(connection, section.name)
        if holder is None:
            continue
        left = timedelta(seconds=holder.seconds_left)
        if not section.is_alone_everywhere and left > timedelta():
            told = f"section {section.name} has lock: host here, and its lock in the database is held by {holder}"
            remedy = "the same key lock in the configurations of all hosts: until then, both run the section"
            yield Finding("locks", Health.WARNING, told, remedy)
        elif section.is_alone_everywhere and left < -STALE:
            told = (
                f"section {section.name}: its lock was left behind {span(-left)} ago by {holder}, "
                "and no run has taken it"
            )
            yield Finding("locks", Health.WARNING, told, "is there a host whose cron runs the section?")
