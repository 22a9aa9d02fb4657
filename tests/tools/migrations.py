"""Make the tables as they were at an older revision."""

from __future__ import annotations

from collections.abc import Callable

from alembic import command
from alembic.config import Config

from instances import Instance
from jobcron.database.upgrade import upgrade_schema
from jobcron.settings.settings import PACKAGE


def upgrade_to(instance: Instance, revision: str) -> None:
    """Make the tables as they were at a revision."""
    config = Config()
    config.set_main_option("script_location", f"{PACKAGE}/database/schema")
    with instance.database.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


_OF_CODE_BEFORE = {
    "jobcron_job_unique": "CREATE UNIQUE INDEX IF NOT EXISTS jobcron_job_unique ON jobcron_job (type, unique_key, "
    "(CASE WHEN begun_token = 0 THEN 0 END)) WHERE status IN (0, 4, 7)",
    "jobcron_job_ready": "CREATE INDEX IF NOT EXISTS jobcron_job_ready ON jobcron_job "
    "(type, priority, scheduled_start, id) WHERE status = 0",
}
"""The indexes that new tables lack and upgraded ones keep, for older code."""


def make_upgraded(query: Callable[[str], object]) -> None:
    """Make new tables what an upgrade makes of older ones.

    Args:
        query: executes a statement in the database.
    """
    for statement in _OF_CODE_BEFORE.values():
        query(statement)
    query("UPDATE jobcron_schema_version SET oldest_code = '0005'")


# The moves and privileges that a version allows stay.
_MADE_BY = {
    "0022": ("DROP INDEX jobcron_job_bad_end",),
    "0021": ("DROP TABLE jobcron_lock, jobcron_lock_wish",),
    "0020": (
        "DROP INDEX jobcron_job_turn",
        "ALTER TABLE jobcron_channel DROP COLUMN sequential",
        "ALTER TABLE jobcron_channel DROP COLUMN passed_at",
    ),
    "0019": (
        "ALTER TABLE jobcron_run DROP COLUMN waited, DROP COLUMN ran",
        "ALTER TABLE jobcron_schedule DROP COLUMN paused_because",
    ),
    "0018": ("DROP TABLE jobcron_group_run",),
    "0017": ("DROP TABLE jobcron_offer",),
    "0016": ("DROP INDEX jobcron_job_key, jobcron_job_aside", _OF_CODE_BEFORE["jobcron_job_unique"]),
    "0015": ("ALTER TABLE jobcron_schedule DROP COLUMN seen_at, DROP COLUMN kept_due_at",),
    "0014": (
        "DROP TABLE jobcron_channel, jobcron_start",
        "ALTER TABLE jobcron_job DROP COLUMN channel, DROP COLUMN channel_key",
    ),
    "0013": (
        "DROP TRIGGER jobcron_job_release ON jobcron_job",
        "DROP FUNCTION jobcron_release()",
        "DROP TABLE jobcron_edge",
        "DROP INDEX jobcron_job_blocked",
        "ALTER TABLE jobcron_job DROP COLUMN has_successors",
    ),
    "0012": ("DROP TABLE jobcron_worker",),
    "0011": ("DROP TABLE jobcron_silence",),
    "0010": ("DROP TABLE jobcron_slot, jobcron_schedule",),
    "0009": ("ALTER TABLE jobcron_job DROP COLUMN has_committed, DROP COLUMN target_mark",),
    "0008": ("DROP VIEW jobcron_jobs",),
    "0007": ("DROP TABLE jobcron_undo, jobcron_act, jobcron_pause",),
}
"""What undoes a version's migration on PostgreSQL."""


def upgrade_again_from(instance: Instance, revision: str) -> None:
    """Undo what the versions since a revision make, on PostgreSQL, and upgrade the tables again."""
    for version in sorted(_MADE_BY, reverse=True):
        for statement in _MADE_BY[version] if version > revision else ():
            instance.query(statement)
    instance.query(f"UPDATE jobcron_schema_version SET version_num = '{revision}', oldest_code = '0005'")
    with instance.database.begin() as connection:
        upgrade_schema(connection, instance.url)
