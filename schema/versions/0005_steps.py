"""Progress and workspace of jobs of several tasks in a column of their own; mails that could not be sent.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

OLDEST_CODE = "0005"
"""Older code does not see which tasks are done, and would do them twice."""

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column, which is null for the jobs that are there: their data has it, and is read as before.

    Make the table.
    """
    op.add_column("jobcron_job", sa.Column("steps", sa.JSON().with_variant(JSONB(), "postgresql")))
    op.create_table(
        "jobcron_mail",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("job", BIG_INTEGER, sa.ForeignKey("jobcron_job.id", ondelete="CASCADE"), nullable=False),
        sa.Column("lease_token", sa.BigInteger, nullable=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("jobcron_mail_job", "jobcron_mail", ["job"])
