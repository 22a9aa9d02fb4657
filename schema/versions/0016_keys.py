"""The index of unique keys has only jobs that have one; jobs that are put aside have an index of their own.

Revision ID: 0016
Revises: 0015
"""

revision = "0016"
down_revision = "0015"

OLDEST_CODE = "0005"
"""Code that was written for these versions still works with tables that were upgraded: they keep its index."""

OLDEST_CODE_OF_NEW_TABLES = "0016"
"""The ON CONFLICT of older code names an index that new tables lack."""

# The predicate and the columns stand in the ON CONFLICT of `jobcron.jobs.inserting`, word for word. The third
# column is NULL, and so differs from anything, for a job that has begun.
KEYS = (
    "CREATE UNIQUE INDEX {how} jobcron_job_key ON jobcron_job "
    "(type, unique_key, (CASE WHEN begun_token = 0 THEN 0 END)) "
    "WHERE status IN (0, 4, 7) AND unique_key IS NOT NULL"
)

# Whoever looks for suspended or blocked jobs found them by the index of keys.
ASIDE = "CREATE INDEX {how} jobcron_job_aside ON jobcron_job (type, id) WHERE status IN (4, 7)"

LATE_INDEXES = {
    "jobcron_job_key": dict.fromkeys(("postgresql", "sqlite"), KEYS),
    "jobcron_job_aside": dict.fromkeys(("postgresql", "sqlite"), ASIDE),
}
"""Built after all migrations, on PostgreSQL while jobs are created: see `jobcron.database.upgrade`."""

OVERTAKEN_INDEXES = ("jobcron_job_unique",)
"""Dropped from new tables only. Older code creates jobs by it: the migration that shuts that code out drops it."""


def upgrade() -> None:
    """Change nothing: the indexes are built later."""
