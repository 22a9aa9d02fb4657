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


OF_TARGETS = (
    "CREATE INDEX {how} jobcron_job_target ON jobcron_job (target_type, target_id) WHERE target_type IS NOT NULL"
)

LATE_INDEXES = {"jobcron_job_target": dict.fromkeys(("postgresql", "sqlite"), OF_TARGETS)}
"""Built after all migrations, on PostgreSQL while jobs are created: see `jobcron.database.upgrade`."""


def upgrade() -> None:
    """Add the columns, which are null for the jobs that are there."""
    op.add_column("jobcron_job", sa.Column("target_type", sa.Text))
    op.add_column("jobcron_job", sa.Column("target_id", sa.Text))
    op.add_column("jobcron_schema_version", sa.Column("oldest_code", sa.Text))
