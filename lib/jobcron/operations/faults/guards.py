"""Lost guards: indexes that statements need, and triggers that refuse, or do, what no code has to think of.

What tables should have is said here alone. A test compares it with tables that were just made, on both databases:
whoever writes a migration meets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, text

from jobcron.operations.reasons import Finding
from jobcron.queue.health import Health

_INDEXES = frozenset(
    {
        "ix_jobcron_edge_predecessor",
        "ix_jobcron_event_job",
        "ix_jobcron_schedule_look_at",
        "ix_jobcron_slot_due_at",
        "ix_jobcron_start_at",
        "jobcron_edge_unmet",
        "jobcron_job_aside",
        "jobcron_job_blocked",
        "jobcron_job_expiring",
        "jobcron_job_free",
        "jobcron_job_half_done",
        "jobcron_job_key",
        "jobcron_job_lane",
        "jobcron_job_turn",
        "jobcron_job_leased",
        "jobcron_job_limited",
        "jobcron_job_placed",
        "jobcron_job_target",
        "jobcron_job_uuid",
        "jobcron_mail_job",
        "jobcron_run_last",
        "jobcron_slot_last",
        "jobcron_slot_missed",
    }
)

INDEXES: Mapping[str, frozenset[str]] = {
    "postgresql": _INDEXES | {"jobcron_job_bad_end"},  # SQLite's jobcron_job_uuid has all jobs
    "sqlite": _INDEXES,
}
"""By the kind of database: the indexes of new tables besides those of primary keys and of unique columns."""

_REFUSES = "nothing refuses what no code may write"

_TRIGGERS = {
    "jobcron_job_move": _REFUSES,
    "jobcron_job_values_insert": _REFUSES,
    "jobcron_job_values_update": _REFUSES,
    "jobcron_job_release": "no job is released when the last one that it waits for ends",
}

TRIGGERS: Mapping[str, Mapping[str, str]] = {
    "postgresql": _TRIGGERS,
    "sqlite": _TRIGGERS | {"jobcron_job_replaced": "INSERT OR REPLACE may overwrite a job"},
}
"""By the kind of database: the triggers of new tables, and what a database without each lacks."""

_MADE_ANEW = "jobcron upgrade, or create it as the migration in schema/versions does"
"""The remedy for what is missing: an upgrade makes the indexes that migrations leave to be built later."""

_FOUND = {
    "postgresql": (
        "SELECT relname, indisvalid AND indisready FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE indrelid::regclass::text LIKE 'jobcron_%' OR indrelid::regclass::text LIKE '%.jobcron_%'",
        "SELECT tgname, tgenabled IN ('O', 'A') FROM pg_trigger WHERE tgrelid = to_regclass('jobcron_job')",
    ),
    "sqlite": (
        "SELECT name, 1 FROM sqlite_master WHERE type = 'index'",
        "SELECT name, 1 FROM sqlite_master WHERE type = 'trigger'",
    ),
}
"""By the kind of database: the statements that return its indexes and its triggers, and whether each is in use."""


def guard_findings(connection: Connection) -> Iterator[Finding]:
    """Yield the indexes and the triggers that are missing, broken or switched off; nothing is changed."""
    indexes, triggers = (
        {str(name): bool(in_use) for name, in_use in connection.execute(text(statement))}
        for statement in _FOUND[connection.dialect.name]
    )
    for name in sorted(INDEXES[connection.dialect.name] - indexes.keys()):
        told = f"the index {name} is missing: statements that need it read the whole table"
        yield Finding("indexes", Health.CRITICAL, told, _MADE_ANEW)
    for name, is_valid in sorted(indexes.items()):
        if not is_valid:
            told = f"the index {name} is invalid: a CREATE INDEX CONCURRENTLY was not finished"
            yield Finding("indexes", Health.CRITICAL, told, f"REINDEX INDEX CONCURRENTLY {name}")
    for name, lack in sorted(TRIGGERS[connection.dialect.name].items()):
        if name not in triggers:
            told = f"the trigger {name} is missing: {lack}"
            yield Finding("triggers", Health.CRITICAL, told, "create it as the migration in schema/versions does")
        elif not triggers[name]:
            told = f"the trigger {name} is disabled: {lack}"
            yield Finding("triggers", Health.CRITICAL, told, f"ALTER TABLE jobcron_job ENABLE TRIGGER {name}")
