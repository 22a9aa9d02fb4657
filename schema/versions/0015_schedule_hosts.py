"""Who has confirmed schedules, and when; indexes for questions about slots.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

OLDEST_CODE = "0005"
"""Code written for these versions of the tables still works with them: it sees columns that it ignores."""

LAST = "CREATE INDEX {how} jobcron_slot_last ON jobcron_slot (schedule, due_at)"
MISSED = "CREATE INDEX {how} jobcron_slot_missed ON jobcron_slot (at) WHERE missed > 0 OR outcome = 'missed'"

LATE_INDEXES = {
    "jobcron_slot_last": {"postgresql": LAST, "sqlite": LAST},
    "jobcron_slot_missed": {"postgresql": MISSED, "sqlite": MISSED},
}
"""Built after all migrations, on PostgreSQL while jobs are created: see `jobcron.database.upgrade`."""

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns: when a schedule was confirmed is not known until a run that defines it says so."""
    op.add_column("jobcron_schedule", sa.Column("seen_at", MOMENT))
    op.add_column("jobcron_schedule", sa.Column("kept_due_at", MOMENT))
