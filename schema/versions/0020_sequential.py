"""Channels that keep their order, and what they have been told to pass over.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

OLDEST_CODE = "0005"
"""Code that was written for these versions of the tables still works with them; it does not keep the order."""

_INDEXES = {
    # Few have an entry: those in channels that have begun and have not ended well.
    "jobcron_job_turn": "(channel, coalesce(date_finished, date_started, date_created)) "
    "WHERE channel IS NOT NULL AND (status = 3 OR (begun_token > 0 AND status IN (0, 4)))",
}

LATE_INDEXES = {
    name: dict.fromkeys(("postgresql", "sqlite"), f"CREATE INDEX {{how}} {name} ON jobcron_job {columns}")
    for name, columns in _INDEXES.items()
}
"""Built after all migrations, on PostgreSQL while jobs are created: see `jobcron.database.upgrade`."""


def upgrade() -> None:
    """Add the columns; no channel keeps its order yet."""
    op.add_column("jobcron_channel", sa.Column("sequential", sa.Text))
    op.add_column("jobcron_channel", sa.Column("passed_at", sa.DateTime(timezone=True)))
