"""The names of a job's arguments on its row: code of another release may lack one, and then leaves the job alone.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

OLDEST_CODE = "0005"
"""Code that was written for this version of the tables still works with them: it sees a column that it ignores."""


def upgrade() -> None:
    """Add the column, which is null for the jobs that are there."""
    op.add_column("jobcron_job", sa.Column("needs", sa.Text))
