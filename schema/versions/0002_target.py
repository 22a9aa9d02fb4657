"""A job's target on its own row, for types without a table; how far back code may be for the tables.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

OLDEST_CODE = "0001"
"""Code that was written for this version of the tables still works with them: it sees columns that it ignores."""


def upgrade() -> None:
    """Add the columns, which are null for the jobs that are there."""
    op.add_column("jobcron_job", sa.Column("target_type", sa.Text))
    op.add_column("jobcron_job", sa.Column("target_id", sa.Text))
    predicate = sa.text("target_type IS NOT NULL")
    op.create_index(
        "jobcron_job_target",
        "jobcron_job",
        ["target_type", "target_id"],
        postgresql_where=predicate,
        sqlite_where=predicate,
    )
    op.add_column("jobcron_schema_version", sa.Column("oldest_code", sa.Text))
