"""How long the jobs of a run waited and took; why a schedule is paused.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

OLDEST_CODE = "0005"
"""Code written for these versions of the tables still works with them: its rows have NULL in the new columns."""


def upgrade() -> None:
    """Add the columns: none has a default, so that no row is written."""
    op.add_column("jobcron_run", sa.Column("waited", sa.Double))
    op.add_column("jobcron_run", sa.Column("ran", sa.Double))
    op.add_column("jobcron_schedule", sa.Column("paused_because", sa.Text))
