"""A job that has begun gives its unique key free; the start that was asked for is kept.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

OLDEST_CODE = "0004"
"""Older code names the old index in its ON CONFLICT."""


def upgrade() -> None:
    """Make the index of unique keys anew, and add the column."""
    free_keys_of_jobs_that_have_begun()
    op.add_column("jobcron_job", sa.Column("asked_start", sa.DateTime(timezone=True)))


def free_keys_of_jobs_that_have_begun() -> None:
    """Add to the index what is NULL, and so differs from anything, for a job that has begun.

    A condition of the index would do as well, but then it would not serve those who look for jobs that have.
    """
    predicate = sa.text("status IN (0, 4, 7)")
    op.drop_index("jobcron_job_unique", "jobcron_job")
    op.create_index(
        "jobcron_job_unique",
        "jobcron_job",
        # These stand in the ON CONFLICT of `jobcron.jobs.inserting`, word for word.
        ["type", "unique_key", sa.text("(CASE WHEN begun_token = 0 THEN 0 END)")],
        unique=True,
        postgresql_where=predicate,
        sqlite_where=predicate,
    )
