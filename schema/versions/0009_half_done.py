"""A job's row says whether it has committed something on its way, and what identifies its target.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

OLDEST_CODE = "0005"
"""Code that was written for this version of the tables still works with them: it sees columns that it ignores."""

HALF_DONE = "CREATE INDEX {how} jobcron_job_half_done ON jobcron_job (type) WHERE status = 5 AND has_committed"

LATE_INDEXES = {"jobcron_job_half_done": {"postgresql": HALF_DONE, "sqlite": HALF_DONE}}
"""Built after all migrations, on PostgreSQL while jobs are created: see `jobcron.database.upgrade`."""


def upgrade() -> None:
    """Add the columns: what earlier code has committed for a job is not known, and its hook is not called."""
    op.add_column("jobcron_job", sa.Column("has_committed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobcron_job", sa.Column("target_mark", sa.Text))
